"""`evolve(state, fact) -> state`: how facts change what is known. Folding a history gives the saga's row again."""

from __future__ import annotations

from typing import assert_never

from saga_celery.core import events as e
from saga_celery.core.copies import replace
from saga_celery.core.lifecycle import SAGA_NOTES, SAGA_TABLE, STEP_NOTES, STEP_TABLE, UNPARKED
from saga_celery.core.states import (
    Activity,
    DeadLetter,
    Direction,
    Mail,
    SagaState,
    SagaStatus,
    Slot,
    StepState,
    StepStatus,
)
from saga_celery.core.steps import Steps


class IllegalFact(AssertionError):
    """A fact that the tables of the lifecycle do not allow: a bug in the machine, never a user's mistake."""


def evolve(state: SagaState, fact: e.Fact) -> SagaState:
    """Apply one fact.

    Args:
        state: the saga before.
        fact: what the machine recorded.

    Returns:
        The saga after; `state` itself is left as it was.

    Raises:
        IllegalFact: the lifecycle does not allow this fact here.
    """
    if isinstance(fact, e.StepFact):
        return _with_step(state, _evolve_step(state.step(fact.slot.step, fact.slot.item), fact))
    return replace(_evolve_saga(state, fact), status=_next_saga_status(state.status, fact))


def _next_saga_status(status: SagaStatus, fact: e.SagaFact) -> SagaStatus:
    if isinstance(fact, e.SagaUnparked):
        if status is not SagaStatus.FAILED or fact.to not in UNPARKED:
            raise IllegalFact(f"SagaUnparked to {fact.to} in {status}")
        return fact.to
    if status in SAGA_NOTES.get(type(fact), ()):
        return status
    found = SAGA_TABLE.get((status, type(fact)))
    if found is None:
        raise IllegalFact(f"{type(fact).__name__} in {status}")
    return found


def _evolve_saga(state: SagaState, fact: e.SagaFact) -> SagaState:
    match fact:
        case e.SagaTurned(turn=turn):
            return replace(state, turn=state.turn or turn)
        case e.TurnDropped():
            return replace(state, turn=None)
        case e.SagaCompleted(result=result):
            return replace(state, result=result)
        case e.SagaCompensating():
            return replace(state, result=None)
        case e.SagaRerun() if state.status is SagaStatus.COMPENSATED:
            return replace(state, turn=None)
        case e.SagaSuspended() | e.SagaResumed():
            return replace(state, suspended=isinstance(fact, e.SagaSuspended))
        case e.EventKept():
            kept = Mail(
                wait=fact.wait,
                event_id=fact.event_id,
                payload=fact.payload,
                actor=fact.actor,
                generation=fact.generation,
            )
            return replace(state, mail=(*state.mail, kept))
        case e.SagaParked(letter=letter):
            return _parked(state, letter)
        case e.SagaUnparked(letter=letter, to=to):
            left = _without(state.letters, letter)
            return replace(state, letters=left, parked_from=state.parked_from if to is SagaStatus.FAILED else None)
        case e.EffectAfterEnd(letter=letter):
            return replace(state, letters=(*state.letters, letter))
        case e.LetterDismissed(letter=letter):
            return replace(state, letters=_without(state.letters, letter))
        case e.SagaOverdue():
            return replace(state, overdue=True)
        case _:
            return state


def _parked(state: SagaState, letter: DeadLetter) -> SagaState:
    came_from = state.parked_from if state.status is SagaStatus.FAILED else state.status
    return replace(state, letters=(*state.letters, letter), parked_from=came_from)


def _without(letters: tuple[DeadLetter, ...], settled: DeadLetter) -> tuple[DeadLetter, ...]:
    return tuple(letter for letter in letters if letter != settled)


def _with_step(state: SagaState, step: StepState) -> SagaState:
    return replace(state, steps=Steps.of(state.steps).put(step))


def _evolve_step(step: StepState | None, fact: e.StepFact) -> StepState:
    status = _next_step_status(step.status if step else None, fact)
    if isinstance(fact, e.StepScheduled):
        unheard = step.action.unheard if step else ()
        fresh = Activity(generation=fact.slot.generation, unheard=unheard)
        return StepState(name=fact.slot.step, item=fact.slot.item, status=status, order=fact.order, action=fresh)
    if isinstance(fact, e.ItemQueued):
        ready = Activity(generation=fact.slot.generation, message=fact.message, policy=fact.policy)
        return StepState(name=fact.slot.step, item=fact.slot.item, status=status, order=fact.order, action=ready)
    assert step is not None  # noqa: S101 - only these two may meet a missing step, as the table says
    return _apply(replace(step, status=status), fact)


def _next_step_status(status: StepStatus | None, fact: e.StepFact) -> StepStatus:
    if status is not None and status in STEP_NOTES.get(type(fact), ()):
        return status
    found = STEP_TABLE.get((status, type(fact)))
    if found is None:
        raise IllegalFact(f"{type(fact).__name__} for step {fact.slot.step!r} in {status}")
    return found


def _apply(step: StepState, fact: e.StepFact) -> StepState:
    match fact:
        case e.ActivityRendered():
            return _with_activity(step, fact.slot, _rendered(step.activity(fact.slot.direction), fact))
        case e.CompensationSkipped(slot=slot, by=by, waived=True):
            return _with_activity(step, slot, replace(step.activity(slot.direction), waived_by=by))
        case e.StepFannedOut(items=items, policy=policy):
            return replace(step, items=items, action=replace(step.action, policy=policy))
        case e.StepSkipped(result=result):
            return replace(step, result=result)
        case e.ResultReplaced(result=result):
            return replace(step, result=result, compensation=_to_be_made_again(step.compensation))
        case e.StepReopened():
            return _reopened(step, fact)
        case e.StepDispatched() | e.CompensationDispatched() | e.ProbeDispatched():
            return _dispatched(step, fact.slot, fact.attempt)
        case e.AttemptClaimed():
            return _claimed(step, fact)
        case e.CompensationScheduled(slot=slot) if slot.generation > step.activity(slot.direction).generation:
            return replace(step, compensation=Activity(generation=slot.generation))
        case e.ProbeScheduled():
            fresh = replace(step.activity(Direction.PROBE), tries=0, failure=None)
            return replace(step, probe=fresh if step.probe else None)
        case e.EffectRuledOut():
            return replace(step, action=replace(step.action, lost=False))
        case e.AttemptEnded(slot=slot, failure=failure, lost=lost, counted=counted):
            activity = step.activity(slot.direction)
            tries = activity.tries - int(not counted)
            ended = replace(activity, failure=failure, lost=activity.lost or lost, tries=tries)
            return _with_activity(step, slot, ended)
        case e.StepSucceeded():
            return _succeeded(step, fact)
        case e.EffectRepeated(attempt=attempt):
            return replace(step, action=_heard(step.action, attempt))
        case e.StepFailed(failure=failure) | e.StepGivenUp(failure=failure):
            return replace(step, action=replace(step.action, failure=failure))
        case e.StepInDoubt() | e.StepExhausted() | e.CompensationInDoubt() | e.CompensationExhausted():
            rested = replace(step.activity(fact.slot.direction), tries=0)
            return _with_activity(step, fact.slot, rested)
        case _:
            return step


def _rendered(activity: Activity, fact: e.ActivityRendered) -> Activity:
    return replace(
        activity,
        generation=fact.slot.generation,
        message=fact.message,
        policy=fact.policy,
        void=fact.message is None,
        waived_by=fact.waived_by,
    )


def _dispatched(step: StepState, slot: Slot, attempt: int) -> StepState:
    activity = step.activity(slot.direction)
    return _with_activity(step, slot, replace(activity, attempt=attempt, tries=activity.tries + 1, worker=""))


def _claimed(step: StepState, fact: e.AttemptClaimed) -> StepState:
    activity = step.activity(fact.slot.direction)
    more = int(fact.attempt > activity.attempt)
    claimed = replace(activity, attempt=fact.attempt, tries=activity.tries + more, epoch=fact.epoch, worker=fact.worker)
    return _with_activity(step, fact.slot, claimed)


def _reopened(step: StepState, fact: e.StepReopened) -> StepState:
    """A clean sheet, but for what may still be told of the generation before."""
    unheard = (*step.action.unheard, *(() if fact.heard else (step.action.generation,)))
    fresh = Activity(generation=fact.slot.generation, unheard=unheard)
    return StepState(name=step.name, item=step.item, status=step.status, order=step.order, action=fresh)


def _succeeded(step: StepState, fact: e.StepSucceeded) -> StepState:
    """A success that comes late opens a new generation of a compensation that already ran without the result."""
    compensation = step.compensation
    if compensation is not None:
        compensation = Activity(generation=compensation.generation + 1)
    settled = replace(step.action, lost=False, failure=None)
    told = _heard(settled, fact.attempt) if fact.by == e.WORKER and fact.attempt else settled
    return replace(step, action=told, compensation=compensation, result=fact.result)


def _heard(action: Activity, attempt: int) -> Activity:
    return replace(action, heard=(*action.heard, attempt))


def _to_be_made_again(compensation: Activity | None) -> Activity | None:
    """What undoes a step is made of its result, unless a person said that nothing shall."""
    if compensation is None or compensation.waived_by:
        return compensation
    return Activity(generation=compensation.generation)


def _with_activity(step: StepState, slot: Slot, activity: Activity) -> StepState:
    match slot.direction:
        case Direction.ACTION:
            return replace(step, action=activity)
        case Direction.COMPENSATION:
            return replace(step, compensation=activity)
        case Direction.PROBE:
            return replace(step, probe=activity)
        case _ as never:
            assert_never(never)
