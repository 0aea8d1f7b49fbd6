"""`retry` with other arguments: a new generation, once the old one is settled."""

from dataclasses import replace

import pytest

from saga_celery.core import events as e
from saga_celery.core.commands import Send
from saga_celery.core.draft import NotAllowed
from saga_celery.core.keys import slot_key
from saga_celery.core.retry import Retry
from saga_celery.core.states import Message, Policy, Reason, SagaStatus, Slot, StepStatus
from tests.core.stories import COMPENSATION, FATAL, MISHAP, ONCE, asks, done, fails, linear, lost, plan, rested, story

S = StepStatus
PROBED = Policy(retry=Retry(attempts=1), probe=True)


def edits(step="a", **more):
    return asks(e.Verb.RETRY, step, **more)


def exhausted():
    return story(linear("p", "a", pivot="p"), a=ONCE).given(done("p"), fails("a"))


def undo_exhausted():
    return story(linear("a", "b"), b=ONCE, a_compensation=ONCE).given(
        done("a", 7), fails("b"), fails("a", direction=COMPENSATION)
    )


def test_a_parked_step_runs_with_what_it_is_given():
    told = exhausted().when(edits(args=(1, [2]), kwargs={"cents": 5}))
    told.expect(
        *(e.OperatorActed, e.SagaUnparked, e.StepReopened, e.StepScheduled),
        *(e.InputEdited, e.ActivityRendered, e.StepDispatched),
    )
    told.asks(Send(slot=Slot("a", generation=2), attempt=1)).ends(SagaStatus.RUNNING, a=S.DISPATCHED)
    assert told.step("a").action.message == Message(task="a.action", args=(1, [2]), kwargs={"result": None, "cents": 5})
    assert told.step("a").action.policy == ONCE


def test_what_is_not_given_stays():
    told = exhausted()
    before = told.step("a").action.message
    told.when(edits(kwargs={"result": 3}))
    assert told.step("a").action.message == replace(before, kwargs={"result": 3})
    edited = next(fact for fact in told.facts if isinstance(fact, e.InputEdited))
    assert (edited.before, edited.after) == (before, told.step("a").action.message)


def test_a_compensation_too():
    told = undo_exhausted().when(edits(kwargs={"result": 8}))
    told.asks(Send(slot=Slot("a", 0, COMPENSATION, 2), attempt=1)).ends(SagaStatus.COMPENSATING, a=S.COMPENSATING)
    assert told.step("a").compensation.message.kwargs == {"result": 8}
    assert told.step("a").result == 7


def test_one_that_rests_need_not_fail_for_good_first():
    told = story(linear("a")).given(fails("a", MISHAP)).when(edits(args=(1,)))
    told.asks(Send(slot=Slot("a", generation=2), attempt=1)).when(done("a")).ends(SagaStatus.COMPLETED)


def test_a_compensation_that_rests_neither():
    told = story(linear("a", "b"), b=ONCE).given(done("a"), fails("b"), fails("a", MISHAP, direction=COMPENSATION))
    told.when(edits(args=(1,))).asks(Send(slot=Slot("a", 0, COMPENSATION, 2), attempt=1))


def test_the_key_of_the_old_generation_gives_way_wherever_it_stands():
    told = exhausted()
    old, new = slot_key("s1", Slot("a")), slot_key("s1", Slot("a", generation=2))
    told.when(edits(args=[{"deep": [f"{old}/x"]}, old, 5], kwargs={"key": old, old: None}))
    message = told.step("a").action.message
    assert message.args == ({"deep": [f"{new}/x"]}, new, 5)
    assert message.kwargs == {"result": None, "key": new, new: None}


def test_a_copy_of_the_old_message_that_takes_effect_all_the_same_is_told():
    told = exhausted().given(edits(args=(1,)))
    late = e.AttemptSucceeded(slot=Slot("a"), attempt=1, result="old")
    told.when(late).expect(e.NewsIgnored, e.SagaParked).letters(("a", Reason.LATE_EFFECT))
    told.given(asks(e.Verb.RESOLVE), done("a")).ends(SagaStatus.COMPLETED)


def test_it_waits_for_a_person_also_when_the_step_succeeds_meanwhile():
    told = exhausted().given(edits(args=(1,)))
    told.given(e.AttemptSucceeded(slot=Slot("a"), attempt=1, result="old"))
    told.when(done("a", "new")).letters(("a", Reason.LATE_EFFECT)).ends(SagaStatus.FAILED, a=S.SUCCEEDED)
    assert told.state.letters[0].result == "old"
    told.when(asks(e.Verb.RESOLVE)).ends(SagaStatus.COMPLETED)


def test_it_hides_nothing_that_becomes_of_the_step():
    told = exhausted().given(edits(args=(1,)))
    told.given(e.AttemptSucceeded(slot=Slot("a"), attempt=1, result="old"), lost("a"), rested("a"), lost("a"))
    told.letters(("a", Reason.LATE_EFFECT), ("a", Reason.IN_DOUBT))


def test_nor_is_it_hidden_by_that():
    told = exhausted().given(edits(args=(1,)), lost("a"), rested("a"), lost("a")).letters(("a", Reason.IN_DOUBT))
    late = e.AttemptSucceeded(slot=Slot("a"), attempt=1, result="old")
    told.given(late, late).letters(("a", Reason.IN_DOUBT), ("a", Reason.LATE_EFFECT))


def test_what_was_told_to_go_on_before_it_goes_on_too():
    fatal = Policy(retry=Retry(attempts=1), fatal=("shop.Refused",))
    graph = plan(("p",), ("a", "b"), pivot="p")
    told = story(graph, a=fatal, b=ONCE).given(done("p"), fails("a", FATAL), fails("b"))
    told.when(asks(e.Verb.RETRY, "a")).ends(SagaStatus.FAILED, a=S.SCHEDULED)
    told.when(edits("b", args=(1,))).ends(SagaStatus.RUNNING, a=S.DISPATCHED, b=S.DISPATCHED)


def test_one_that_fails_is_none():
    told = exhausted().given(edits(args=(1,)))
    late = e.AttemptFailed(slot=Slot("a"), attempt=1, failure=MISHAP)
    told.when(late).expect(e.NewsIgnored).ends(SagaStatus.RUNNING, a=S.DISPATCHED)


def in_doubt():
    return story(linear("a", "b"), a=ONCE).given(lost("a"))


def lost_and_exhausted():
    told = story(linear("p", "a", pivot="p")).given(done("p"), lost("a"), rested("a"))
    return told.given(fails("a", MISHAP))


def lost_and_resting():
    return story(linear("a")).given(lost("a"))


def render_failed():
    return story(linear("a", "b")).where("b", answer=MISHAP).given(done("a"))


def running():
    return story(linear("a", "b")).given()


@pytest.mark.parametrize(
    ("at", "step", "sentence"),
    [
        (in_doubt, "a", "nobody knows whether step 'a' took effect, .*: `resolve` it first"),
        (lost_and_exhausted, "a", "nobody knows whether an earlier attempt of step 'a' took effect.*retry it as it is"),
        (lost_and_resting, "a", "nobody knows whether an earlier attempt of step 'a' took effect"),
        (render_failed, "b", "step 'b' is parked as render_failed; other arguments do not mend that"),
        (running, "a", "step 'a' is dispatched, and neither parked nor resting; it has no dead letters"),
        (running, "b", "name the step whose arguments are to be changed; it has no dead letters"),
        (exhausted, "", "name the step whose arguments are to be changed; possible now: a: retry, skip"),
    ],
)
def test_what_is_not_settled_is_refused(at, step, sentence):
    told = at()
    before = told.state
    with pytest.raises(NotAllowed, match=sentence):
        told.when(edits(step, kwargs={"cents": 5}))
    assert told.state == before


def test_another_steps_letter_is_not_this_steps():
    told = exhausted()
    with pytest.raises(NotAllowed, match="step 'p' is succeeded, and neither parked nor resting"):
        told.when(edits("p", args=()))
