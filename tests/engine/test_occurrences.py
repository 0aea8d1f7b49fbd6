"""Every event that outsiders are told of, from the facts that make it."""

from dataclasses import fields, replace

import pytest

from saga_celery.core import events as e
from saga_celery.core.states import (
    Activity,
    DeadLetter,
    Direction,
    Failure,
    Message,
    Policy,
    Reason,
    SagaState,
    SagaStatus,
    Slot,
    StepState,
    StepStatus,
    Turn,
    TurnKind,
)
from saga_celery.engine.occurrences import ARGUMENTS, Occurrence, occurrences

SLOT = Slot("charge", 2)
UNDO = Slot("charge", 2, Direction.COMPENSATION)
BROKEN = Failure(type="shop.Broken", message="no luck", step="charge")
LETTER = DeadLetter(step="charge", item=2, reason=Reason.IN_DOUBT, detail="worker died", result="r-1")
STEP = StepState(name="charge", item=2, status=StepStatus.IN_DOUBT, action=Activity(failure=BROKEN))
STATE = SagaState(
    id="s1",
    name="shop.order",
    plan_hash="h",
    steps={("charge", 2): STEP},
    turn=Turn(kind=TurnKind.FAILURE, reason="charge failed", failure=BROKEN),
)
CAUSE = {"reason": "failure", "detail": "charge failed", "failure": BROKEN}
NO_CAUSE = {"reason": "", "detail": "", "failure": None}
AT = {"step": "charge", "item": 2}
STUCK = {**AT, "direction": "action", "reason": "in_doubt", "detail": "worker died"}

TOLD = [
    (e.SagaStarted(), "saga_started", {}),
    (e.SagaCompleted(result=[1]), "saga_completed", {"result": [1]}),
    (e.SagaCompensating(), "saga_compensating", CAUSE),
    (e.SagaCompensated(), "saga_compensated", CAUSE),
    (e.SagaParked(letter=LETTER), "saga_failed", {**STUCK, "failure": BROKEN}),
    (e.SagaUnparked(letter=LETTER, to=SagaStatus.RUNNING), "saga_resumed", {"state": "RUNNING"}),
    (e.SagaOverdue(), "saga_overdue", {}),
    (e.SagaRerun(from_step="a", generation=2), "saga_resumed", {"state": "RUNNING"}),
    (e.EffectAfterEnd(letter=LETTER), "saga_late_effect", {**STUCK, "result": "r-1"}),
    (e.StepDispatched(slot=SLOT, attempt=3), "step_dispatched", {**AT, "attempt": 3}),
    (e.StepAwaiting(slot=SLOT), "step_awaiting", AT),
    (e.StepSucceeded(slot=SLOT, attempt=3, result="r"), "step_succeeded", {**AT, "attempt": 3, "result": "r"}),
    (e.StepFailed(slot=SLOT, failure=BROKEN), "step_failed", {**AT, "failure": BROKEN}),
    (e.StepGivenUp(slot=SLOT, failure=BROKEN), "step_failed", {**AT, "failure": BROKEN}),
    (e.StepExhausted(slot=SLOT), "step_failed", {**AT, "failure": BROKEN}),
    (e.StepInDoubt(slot=SLOT), "step_failed", {**AT, "failure": BROKEN}),
    (e.StepSkipped(slot=SLOT, result="r"), "step_skipped", {**AT, "result": "r"}),
    (e.StepCompensated(slot=UNDO, attempt=3), "step_compensated", {**AT, "attempt": 3}),
    (e.FanOutUndone(slot=Slot("charge")), "step_compensated", {"step": "charge", "item": 0, "attempt": 0}),
]


@pytest.mark.parametrize(("fact", "event", "details"), TOLD, ids=lambda part: type(part).__name__)
def test_a_fact_and_its_event(fact, event, details):
    before = e.ActivityRendered(slot=SLOT, message=Message(task="x"), policy=Policy())
    assert list(occurrences(STATE, [before, fact])) == [Occurrence(event=event, place=1, details=details)]


def test_every_event_is_made_and_brings_exactly_its_arguments():
    made = {event: tuple(details) for _, event, details in TOLD}
    assert {event: sorted(names) for event, names in made.items()} == {
        event: sorted(names)
        for event, names in ARGUMENTS.items()
        if event != "saga_stuck"  # see test_lookout.py
    }


def test_all_other_facts_are_nobodys_business():
    told = {type(fact) for fact, _, _ in TOLD}
    for kind in set(e.FACTS.values()) - told:
        values = {part.name: getattr(STATE, part.name, SLOT) for part in fields(kind)}
        assert list(occurrences(STATE, [kind(**values)])) == []


def test_one_of_several_dead_letters_settled_is_no_resumption():
    assert list(occurrences(STATE, [e.SagaUnparked(letter=LETTER, to=SagaStatus.FAILED)])) == []


def test_a_parked_saga_of_which_a_step_runs_again_is_resumed_once():
    rerun, unparked = e.SagaRerun(from_step="a", generation=2), e.SagaUnparked(letter=LETTER, to=SagaStatus.RUNNING)
    assert [told.event for told in occurrences(STATE, [rerun, unparked])] == ["saga_resumed"]
    left = e.SagaUnparked(letter=LETTER, to=SagaStatus.FAILED)
    assert list(occurrences(replace(STATE, status=SagaStatus.FAILED), [rerun, left])) == []


def test_a_step_that_failed_and_is_parked_for_it_failed_once():
    other = e.StepExhausted(slot=Slot("ship"))
    facts = [e.StepFailed(slot=SLOT, failure=BROKEN), e.StepExhausted(slot=SLOT), other]
    assert [(each.place, each.details["step"]) for each in occurrences(STATE, facts)] == [(0, "charge"), (2, "ship")]


def test_each_dead_letter_is_told():
    facts = [e.SagaParked(letter=LETTER), e.SagaParked(letter=LETTER)]
    assert [each.event for each in occurrences(STATE, facts)] == ["saga_failed", "saga_failed"]


def test_what_has_no_cause_and_no_step_is_told_without():
    bare = SagaState(id="s1", name="shop.order", plan_hash="h")
    result = DeadLetter(step="", reason=Reason.RENDER_FAILED)
    facts = [e.SagaCompensated(), e.SagaParked(letter=result), e.StepInDoubt(slot=SLOT)]
    cancelled, parked, doubtful = occurrences(bare, facts)
    assert cancelled.details == NO_CAUSE
    assert parked.details["failure"] is None
    assert doubtful.details["failure"] is None
