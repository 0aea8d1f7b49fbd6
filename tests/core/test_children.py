"""A saga within a saga: its end is its parent's outcome, and its parent's turn is its own."""

from dataclasses import replace

import pytest

from saga_celery.core import events as e
from saga_celery.core.commands import StartChild, TurnChild
from saga_celery.core.machine import NotAllowed, decide_posted
from saga_celery.core.plan import StepKind
from saga_celery.core.states import Failure, Parent, Reason, SagaStatus, Slot, StepStatus, TurnKind
from tests.core.stories import ONCE, asks, done, fails, linear, lost, plan, rested, story, undone

CHILD = StepKind.CHILD
LINE = linear("book", "pay", "ship", pay=CHILD)
PAY = Slot("pay")
BROKE = Failure(type="bank.Broke")


def ended(status, result=None, failure=None, slot=PAY):
    return e.ChildEnded(slot=slot, status=status, result=result, failure=failure)


COMPLETED, COMPENSATED = ended(SagaStatus.COMPLETED, "receipt"), ended(SagaStatus.COMPENSATED, failure=BROKE)


def paying():
    return story(LINE).given(done("book"))


# -------------------------------------------------------------------------------------------------------------- parent


def test_a_child_is_started_and_awaited():
    told = paying().asks(StartChild(slot=PAY)).ends(SagaStatus.RUNNING, pay=StepStatus.AWAITING)
    assert told.facts[-1] == e.StepAwaiting(slot=PAY)


def test_a_child_that_was_completed_is_a_success():
    told = paying().when(COMPLETED).ends(SagaStatus.RUNNING, pay=StepStatus.SUCCEEDED, ship=StepStatus.DISPATCHED)
    assert told.step("pay").result == "receipt"
    assert told.facts[0] == e.StepSucceeded(slot=PAY, attempt=0, result="receipt", by="child")


def test_a_child_that_is_undone_is_a_failure():
    told = paying().when(COMPENSATED).ends(SagaStatus.COMPENSATING, pay=StepStatus.FAILED, book=StepStatus.COMPENSATING)
    assert told.state.turn.failure == BROKE


def test_a_child_that_is_undone_without_a_failure_has_a_name_for_it():
    told = paying().when(ended(SagaStatus.COMPENSATED))
    assert told.state.turn.failure.type == "saga_celery.ChildCompensated"


def test_behind_the_pivot_a_child_that_is_undone_is_parked_and_started_anew():
    graph = linear("charge", "pay", pivot="charge", keeps=("pay",), pay=CHILD)
    told = story(graph).given(done("charge")).when(COMPENSATED)
    told.ends(SagaStatus.FAILED, pay=StepStatus.EXHAUSTED).letters(("pay", Reason.EXHAUSTED))
    told.when(asks(e.Verb.RETRY)).asks(StartChild(slot=PAY._replace(generation=2)))
    told.when(COMPENSATED).expect(e.NewsIgnored)
    assert "older generation" in told.facts[0].note
    told.when(ended(SagaStatus.COMPLETED, slot=PAY._replace(generation=2))).ends(SagaStatus.COMPLETED)


def test_a_completed_child_is_undone_as_a_whole():
    told = paying().given(COMPLETED)
    told.when(fails("ship")).given(rested("ship")).when(fails("ship"))
    told.ends(SagaStatus.COMPENSATING, pay=StepStatus.COMPENSATING, book=StepStatus.SUCCEEDED)
    told.asks(TurnChild(slot=PAY, reason="shop.Refused", undo=True))
    told.when(ended(SagaStatus.COMPENSATED)).ends(SagaStatus.COMPENSATING, pay=StepStatus.COMPENSATED)
    told.when(undone("book")).ends(SagaStatus.COMPENSATED)


def test_a_cancel_goes_down_and_the_childs_end_is_awaited():
    told = paying().when(asks(e.Verb.CANCEL)).asks(TurnChild(slot=PAY, reason="she knows", undo=False))
    told.ends(SagaStatus.RUNNING, pay=StepStatus.AWAITING)
    told.when(asks(e.Verb.CANCEL))
    assert TurnChild not in {type(command) for command in told.commands}
    told.when(ended(SagaStatus.COMPENSATED)).ends(SagaStatus.COMPENSATING, pay=StepStatus.FAILED)


def test_a_child_that_was_faster_than_the_cancel_is_undone_afterwards():
    told = paying().given(asks(e.Verb.CANCEL)).when(COMPLETED)
    told.ends(SagaStatus.COMPENSATING, pay=StepStatus.COMPENSATING)
    told.asks(TurnChild(slot=PAY, reason="she knows", undo=True))


def test_a_child_that_is_the_pivot_and_was_faster_than_the_cancel_wins():
    graph = linear("book", "pay", "ship", pivot="pay", keeps=("ship",), pay=CHILD)
    told = story(graph).given(done("book"), asks(e.Verb.CANCEL)).when(COMPLETED)
    told.ends(SagaStatus.RUNNING, pay=StepStatus.SUCCEEDED, ship=StepStatus.DISPATCHED)


def test_a_child_that_did_not_begin_is_called_off():
    graph = plan(("charge",), ("pay",), pay=CHILD)
    told = story(graph).where("pay", answer=Failure(type="Broken")).given(done("charge"))
    told.ends(SagaStatus.FAILED, pay=StepStatus.SCHEDULED)
    told.when(asks(e.Verb.CANCEL)).ends(SagaStatus.COMPENSATING, pay=StepStatus.CANCELLED)


def test_children_side_by_side_are_all_told():
    graph = plan(("pay", "insure", "book"), pay=CHILD, insure=CHILD)
    told = story(graph).given().when(fails("book")).given(rested("book")).when(fails("book"))
    told.asks(
        TurnChild(slot=PAY, reason="shop.Refused", undo=False),
        TurnChild(slot=Slot("insure"), reason="shop.Refused", undo=False),
    )
    told.ends(SagaStatus.RUNNING)
    told.when(ended(SagaStatus.COMPENSATED)).ends(SagaStatus.RUNNING)
    told.when(ended(SagaStatus.COMPENSATED, slot=Slot("insure"))).ends(SagaStatus.COMPENSATED)


def test_news_of_a_child_that_fit_nothing_are_noted():
    told = paying().given(COMPLETED)
    told.when(COMPLETED).expect(e.NewsIgnored)
    assert told.facts[0].note == "the child ended COMPLETED, while the step was succeeded"
    told.when(COMPENSATED).expect(e.NewsIgnored)
    told.when(ended(SagaStatus.COMPLETED, slot=Slot("ship", 3))).expect(e.NewsIgnored)


# --------------------------------------------------------------------------------------------------------------- child

TURNED = e.ParentTurned(reason="card declined")
UNDO = e.ParentTurned(reason="card declined", undo=True)
SHORT = linear("charge", "note")


def test_a_child_that_has_not_begun_never_does():
    told = story(SHORT)
    decision = decide_posted(SHORT, told.state, TURNED)
    assert [type(fact) for fact in decision.facts] == [e.SagaTurned, e.SagaCompensated]
    assert decision.state.turn.reason == "the parent saga turned round: card declined"


def test_a_suspended_child_that_has_not_begun_ends_at_its_resume():
    told = story(SHORT).when(asks(e.Verb.SUSPEND)).when(TURNED).expect(e.SagaTurned).ends(SagaStatus.PENDING)
    told.when(TURNED).expect(e.NewsIgnored)
    assert told.facts[0].note == "the parent turned round, but this saga was told to already"
    told.when(asks(e.Verb.RESUME)).ends(SagaStatus.COMPENSATED)
    assert not told.state.suspended


def test_a_running_child_turns_round():
    told = story(SHORT).given(done("charge")).when(TURNED)
    assert told.state.turn.kind is TurnKind.CANCEL
    told.when(done("note")).ends(SagaStatus.COMPENSATING)


def test_a_completed_child_waits_for_a_parent_that_knows_of_it():
    told = story(SHORT).given(done("charge"), done("note")).when(TURNED).expect(e.NewsIgnored)
    assert told.facts[0].note == "the parent turned round, but this saga is COMPLETED already"


def test_a_completed_child_is_undone():
    told = story(SHORT).given(done("charge"), done("note")).ends(SagaStatus.COMPLETED)
    assert told.state.result == "the result"
    told.when(UNDO).ends(SagaStatus.COMPENSATING, charge=StepStatus.SUCCEEDED, note=StepStatus.COMPENSATING)
    assert (told.state.turn.kind, told.state.result) == (TurnKind.REQUEST, None)
    told.given(undone("note"), undone("charge")).ends(SagaStatus.COMPENSATED)


@pytest.mark.parametrize("ahead", [[done("charge")], [done("charge"), done("note")]])
def test_a_child_behind_its_pivot_goes_forward(ahead):
    graph = linear("charge", "note", pivot="charge", keeps=("note",))
    told = story(graph).given(*ahead).when(TURNED)
    told.expect(e.NewsIgnored)
    assert "behind its pivot" in told.facts[0].note


def test_a_child_that_only_its_own_code_keeps_from_going_on_turns_round():
    told = story(SHORT).where("note", answer=Failure(type="Broken")).given(done("charge"))
    told.ends(SagaStatus.FAILED).when(TURNED).ends(SagaStatus.COMPENSATING, note=StepStatus.CANCELLED)
    told.letters()
    told.when(undone("charge")).ends(SagaStatus.COMPENSATED)


@pytest.mark.parametrize("verb", [e.Verb.COMPENSATE, e.Verb.RERUN])
def test_a_child_that_has_ended_is_its_parents_business(verb):
    told = story(SHORT)
    told.state = replace(told.state, parent=Parent(id="p1", step="pay"))
    told.given(done("charge"), done("note"))
    if verb is e.Verb.RERUN:
        told.given(UNDO, undone("note"), undone("charge"))
    with pytest.raises(NotAllowed, match="child of saga p1"):
        told.when(asks(verb, "charge"))


def test_a_child_that_runs_again_is_another_one():
    told = paying().given(COMPENSATED, undone("book")).ends(SagaStatus.COMPENSATED)
    told.when(asks(e.Verb.RERUN, "book")).when(done("book")).asks(StartChild(slot=PAY._replace(generation=2)))


def test_a_child_that_turned_round_by_itself_says_so():
    told = story(SHORT).given(done("charge"), fails("note"), rested("note"), fails("note"))
    told.ends(SagaStatus.COMPENSATING).when(TURNED).expect(e.NewsIgnored)
    assert told.facts[0].note.endswith("COMPENSATING already")
    told.given(undone("charge")).when(TURNED).expect(e.NewsIgnored)


def test_a_child_in_doubt_is_settled_first():
    told = story(SHORT, charge=ONCE).given(lost("charge")).ends(SagaStatus.FAILED)
    told.given(TURNED).ends(SagaStatus.FAILED)
    told.when(asks(e.Verb.RESOLVE, resolution=e.Resolution.NEVER)).ends(SagaStatus.COMPENSATED)
