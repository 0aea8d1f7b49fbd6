"""Every verb in every status: done, or refused with a sentence that says what is possible."""

import pytest

from saga_celery.core import events as e
from saga_celery.core.commands import Send
from saga_celery.core.draft import NotAllowed
from saga_celery.core.retry import Retry
from saga_celery.core.states import Failure, Policy, Reason, SagaStatus, Slot, StepStatus
from tests.core.stories import (
    COMPENSATION,
    MISHAP,
    ONCE,
    asks,
    done,
    fails,
    linear,
    lost,
    plan,
    story,
    undo_exhausted,
    undo_in_doubt,
    undone,
)

S = StepStatus
CANCEL, RETRY, SKIP, RESOLVE, *_ = e.Verb
DONE, NEVER = e.Resolution
BLIND = Policy(retry=Retry(attempts=1), null_safe=True)


def pending():
    return story(linear("a"))


def running():
    return story(linear("a", "b")).given()


def resting():
    return story(linear("a")).given(fails("a", MISHAP))


def behind_pivot():
    return story(linear("p", "a", pivot="p")).given(done("p"))


def compensating():
    return story(linear("a", "b"), b=ONCE).given(done("a"), fails("b"))


def compensation_resting():
    return compensating().given(fails("a", MISHAP, direction=COMPENSATION))


def completed():
    return story(linear("a")).given(done("a"))


def compensated():
    return compensating().given(undone("a"))


def late_effect():
    return story(linear("a"), a=BLIND).given(lost("a"), undone("a"), done("a", 7))


def in_doubt():
    return story(linear("a", "b"), a=ONCE).given(lost("a"))


def exhausted():
    return story(linear("p", "a", pivot="p"), a=ONCE).given(done("p"), fails("a"))


def render_failed():
    return story(linear("a", "b")).where("b", answer=MISHAP).given(done("a"))


def result_failed():
    return story(linear("a")).where("", answer=MISHAP).given(done("a"))


NO_CANCEL_BACK = "the saga is being undone already; possible now: a: "
BEHIND = "the saga is behind its pivot and can only go forward; wait for it, or retry or skip a step"
REFUSED = [
    (behind_pivot, CANCEL, BEHIND),
    (completed, CANCEL, "the saga is COMPLETED already; there is nothing to cancel"),
    (compensated, CANCEL, "the saga is COMPENSATED already; there is nothing to cancel"),
    (exhausted, CANCEL, BEHIND),
    (in_doubt, CANCEL, "settle the step in doubt first; possible now: a: resolve, retry, skip"),
    (undo_exhausted, CANCEL, NO_CANCEL_BACK + "retry, skip"),
    (undo_in_doubt, CANCEL, NO_CANCEL_BACK + "resolve, retry, skip"),
    *(
        (status, RETRY, f"nothing waits to be retried: the saga is {name}; it has no dead letters")
        for status, name in [
            (pending, "PENDING"),
            (running, "RUNNING"),
            (compensating, "COMPENSATING"),
            (completed, "COMPLETED"),
            (compensated, "COMPENSATED"),
        ]
    ),
    *(
        (status, SKIP, f"only a step in the dead letters can be skipped: the saga is {name}; it has no dead letters")
        for status, name in [
            (pending, "PENDING"),
            (running, "RUNNING"),
            (compensating, "COMPENSATING"),
            (completed, "COMPLETED"),
            (compensated, "COMPENSATED"),
        ]
    ),
    *(
        (status, RESOLVE, f"no step is in doubt: the saga is {name}; it has no dead letters")
        for status, name in [
            (pending, "PENDING"),
            (running, "RUNNING"),
            (compensating, "COMPENSATING"),
            (completed, "COMPLETED"),
            (compensated, "COMPENSATED"),
        ]
    ),
    (exhausted, RESOLVE, "no step is in doubt: the saga is FAILED; possible now: a: retry, skip"),
    (undo_exhausted, RESOLVE, "no step is in doubt: the saga is FAILED; possible now: a: retry, skip"),
    (render_failed, RESOLVE, "no step is in doubt: the saga is FAILED; possible now: b: retry, skip, cancel"),
    (in_doubt, RESOLVE, "say what became of the step: done (with its result) or never"),
    (late_effect, RETRY, "nothing waits to be retried: the saga is COMPENSATED; possible now: a: resolve"),
    (
        result_failed,
        SKIP,
        "the saga's result could not be made, which can not be skipped: mend `result()` and retry",
    ),
]


@pytest.mark.parametrize(("at", "verb", "sentence"), REFUSED)
def test_refused(at, verb, sentence):
    told = at()
    before = told.state
    with pytest.raises(NotAllowed) as refused:
        told.when(asks(verb))
    assert str(refused.value) == sentence
    assert told.state == before


def test_refused_for_another_step():
    with pytest.raises(
        NotAllowed, match=r"nothing waits to be retried at step 'b': the saga is FAILED; possible now: a"
    ):
        in_doubt().when(asks(RETRY, "b"))


ALLOWED = [
    (pending, asks(CANCEL), SagaStatus.COMPENSATED, {}),
    (running, asks(CANCEL), SagaStatus.RUNNING, {"a": S.DISPATCHED}),
    (render_failed, asks(CANCEL), SagaStatus.COMPENSATING, {"a": S.COMPENSATING, "b": S.CANCELLED}),
    (result_failed, asks(CANCEL), SagaStatus.COMPENSATING, {"a": S.COMPENSATING}),
    (resting, asks(RETRY), SagaStatus.RUNNING, {"a": S.DISPATCHED}),
    (resting, asks(RETRY, "a"), SagaStatus.RUNNING, {"a": S.DISPATCHED}),
    (compensation_resting, asks(RETRY), SagaStatus.COMPENSATING, {"a": S.COMPENSATING}),
    (in_doubt, asks(RETRY), SagaStatus.RUNNING, {"a": S.DISPATCHED}),
    (exhausted, asks(RETRY), SagaStatus.RUNNING, {"a": S.DISPATCHED}),
    (undo_exhausted, asks(RETRY), SagaStatus.COMPENSATING, {"a": S.COMPENSATING}),
    (undo_in_doubt, asks(RETRY), SagaStatus.COMPENSATING, {"a": S.COMPENSATING}),
    (in_doubt, asks(SKIP, result=1), SagaStatus.RUNNING, {"a": S.SKIPPED, "b": S.DISPATCHED}),
    (exhausted, asks(SKIP), SagaStatus.COMPLETED, {"a": S.SKIPPED}),
    (undo_exhausted, asks(SKIP), SagaStatus.COMPENSATED, {"a": S.COMPENSATION_SKIPPED}),
    (undo_in_doubt, asks(SKIP), SagaStatus.COMPENSATED, {"a": S.COMPENSATION_SKIPPED}),
    (in_doubt, asks(RESOLVE, "a", DONE, 3), SagaStatus.RUNNING, {"a": S.SUCCEEDED, "b": S.DISPATCHED}),
    (in_doubt, asks(RESOLVE, "a", NEVER), SagaStatus.COMPENSATED, {"a": S.FAILED}),
    (undo_in_doubt, asks(RESOLVE, "", DONE), SagaStatus.COMPENSATED, {"a": S.COMPENSATED}),
    (undo_in_doubt, asks(RESOLVE, "", NEVER), SagaStatus.COMPENSATING, {"a": S.COMPENSATING}),
    (late_effect, asks(RESOLVE), SagaStatus.COMPENSATED, {"a": S.COMPENSATED}),
]


@pytest.mark.parametrize(("at", "verb", "status", "steps"), ALLOWED)
def test_done_and_written_down(at, verb, status, steps):
    told = at().when(verb).ends(status, **steps)
    assert not told.state.letters
    acted = [fact for fact in told.facts if isinstance(fact, e.OperatorActed)]
    said = e.OperatorActed(verb=verb.verb, actor="ada", reason="she knows", step=verb.step, resolution=verb.resolution)
    assert acted == [said]


def test_cancel_of_what_is_being_undone_is_done_already():
    compensating().when(asks(CANCEL)).nothing()


def test_retry_at_a_step_leaves_the_other_letters():
    told = story(plan(("a", "b")), a=ONCE, b=ONCE).given(lost("a"), lost("b"))
    told.letters(("a", Reason.IN_DOUBT), ("b", Reason.IN_DOUBT)).when(asks(RETRY, "a"))
    told.letters(("b", Reason.IN_DOUBT)).ends(SagaStatus.FAILED, a=S.DISPATCHED, b=S.IN_DOUBT)
    told.when(asks(RESOLVE, "b", NEVER)).letters().ends(SagaStatus.RUNNING, b=S.FAILED)
    told.when(done("a")).ends(SagaStatus.COMPENSATING, a=S.COMPENSATING)


def test_an_action_ruled_out_behind_the_pivot_runs_again_under_a_new_key():
    told = story(linear("p", "a", pivot="p"), a=ONCE).given(done("p"), lost("a")).when(asks(RESOLVE, "a", NEVER))
    told.asks(Send(slot=Slot("a", generation=2), attempt=1)).ends(SagaStatus.RUNNING, a=S.DISPATCHED)


def test_a_result_supplied_by_a_person_is_the_step_s_result():
    assert in_doubt().when(asks(RESOLVE, "a", DONE, {"id": 3})).step("a").result == {"id": 3}


@pytest.mark.parametrize(("said", "status"), [("never", S.FAILED), ("done", S.SUCCEEDED)])
def test_what_became_of_a_step_is_not_guessed_from_what_it_is_not(said, status):
    assert in_doubt().when(asks(RESOLVE, step="a", resolution=said)).status("a") is status
    with pytest.raises(NotAllowed, match=r"done \(with its result\) or never"):
        in_doubt().when(asks(RESOLVE, step="a", resolution="bogus"))


def undo_not_rendered():
    return story(linear("a", "b", "c"), c=ONCE).where("b", COMPENSATION, MISHAP).given(done("a"), done("b", 7))


def test_who_waives_a_compensation_is_remembered_until_the_saga_turns_round():
    saga = undo_not_rendered().letters(("b", Reason.RENDER_FAILED)).given(asks(SKIP, step="b"))
    assert saga.step("b").compensation.waived_by == "ada"
    saga.given(fails("c"))
    assert e.CompensationSkipped(slot=Slot("b", 0, COMPENSATION), by="ada", waived=True) in saga.facts
    saga.when(undone("a")).ends(SagaStatus.COMPENSATED, a=S.COMPENSATED, b=S.COMPENSATION_SKIPPED)
    assert e.SagaCompensated(waived=("b",)) in saga.facts


def test_a_result_that_is_replaced_does_not_bring_back_a_waived_compensation():
    saga = undo_not_rendered().given(asks(SKIP, step="b")).where("b", COMPENSATION, ...)
    saga.where("", answer=MISHAP).given(done("c")).letters(("", Reason.RENDER_FAILED))
    saga.where("", answer=...).when(asks(RESOLVE, step="b", result="x")).ends(SagaStatus.COMPLETED)
    assert (saga.step("b").result, saga.step("b").compensation.waived_by) == ("x", "ada")


def test_what_a_person_passes_over_on_the_way_back_is_not_said_to_be_undone():
    saga = undo_exhausted().when(asks(SKIP)).ends(SagaStatus.COMPENSATED)
    assert e.SagaCompensated(waived=("a",)) in saga.facts


def test_what_the_code_said_needs_no_undoing_is_nobody_s_waiver():
    saga = story(linear("a", "b"), b=ONCE).where("a", COMPENSATION, None).given(done("a")).when(fails("b"))
    assert e.SagaCompensated() in saga.ends(SagaStatus.COMPENSATED).facts


def test_what_a_person_said_of_a_step_in_doubt_is_written_down():
    saga = in_doubt().when(asks(RESOLVE, step="a", resolution=NEVER))
    said = e.OperatorActed(verb=RESOLVE, actor="ada", reason="she knows", step="a", resolution=NEVER)
    assert saga.facts[0] == said


def test_retry_gives_new_attempts():
    told = story(linear("a"), a=ONCE).given(lost("a"), asks(RETRY))
    assert (told.step("a").action.attempt, told.step("a").action.tries) == (2, 1)


def test_a_step_in_doubt_that_then_fails_stays_in_doubt():
    story(linear("a"), a=ONCE).given(lost("a"), asks(RETRY)).when(fails("a", MISHAP)).ends(
        SagaStatus.FAILED, a=S.IN_DOUBT
    )


def test_a_failure_without_a_message_is_told_by_its_type():
    told = story(linear("a"), a=ONCE).given().when(fails("a", Failure(type="shop.Refused")))
    assert told.state.turn.reason == "shop.Refused"
