"""What outsiders are told of a saga: a few well-known events, made of the facts of a transition.

Signals and hooks share these names. A fact that is nobody's business outside makes no event. One event has no fact, as
nothing happened when something should have: `saga_stuck`, which `saga_celery.engine.lookout` finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from saga_celery.core import events as e
from saga_celery.core.states import DeadLetter, Failure, SagaState, SagaStatus, Slot

Details = Mapping[str, Any]

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "saga_started": (),
    "saga_completed": ("result",),
    "saga_compensating": ("reason", "detail", "failure"),
    "saga_compensated": ("reason", "detail", "failure"),
    "saga_failed": ("step", "item", "direction", "reason", "detail", "failure"),
    "saga_stuck": ("step", "item", "direction", "attempt", "reason", "detail"),
    "saga_resumed": ("state",),
    "saga_overdue": (),
    "saga_late_effect": ("step", "item", "direction", "reason", "detail", "result"),
    "step_dispatched": ("step", "item", "attempt"),
    "step_awaiting": ("step", "item"),
    "step_succeeded": ("step", "item", "attempt", "result"),
    "step_failed": ("step", "item", "failure"),
    "step_skipped": ("step", "item", "result"),
    "step_compensated": ("step", "item", "attempt"),
}
"""Every event, and what is told besides the saga."""


ONCE = ("step_failed", "saga_resumed")
"""Told once of one transition: a step that failed and is then parked, a parked saga of which a step is run again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One event of one transition."""

    event: str
    place: int
    """Number of its fact within the transition."""
    details: Details
    """Exactly the arguments of this event; a failure is a `Failure`, everything else plain JSON."""


def occurrences(state: SagaState, facts: Iterable[e.Fact]) -> Iterator[Occurrence]:
    """What a transition has to tell.

    Args:
        state: the saga after it.
        facts: what it recorded.
    """
    told: set[tuple[str, str, int]] = set()
    for place, fact in enumerate(facts):
        found = _READERS.get(type(fact), _nothing)(state, fact)
        if found is None:
            continue
        event, details = found
        subject = (event, details.get("step", ""), details.get("item", 0))
        if event not in ONCE or subject not in told:
            told.add(subject)
            yield Occurrence(event=event, place=place, details=details)


Found = tuple[str, Details] | None


def _nothing(state: SagaState, fact: Any) -> Found:
    return None


# ---------------------------------------------------------------------------------------------------------------- saga


def _started(state: SagaState, fact: e.SagaStarted) -> Found:
    return "saga_started", {}


def _completed(state: SagaState, fact: e.SagaCompleted) -> Found:
    return "saga_completed", {"result": fact.result}


def _compensating(state: SagaState, fact: e.SagaCompensating) -> Found:
    return "saga_compensating", _cause(state)


def _compensated(state: SagaState, fact: e.SagaCompensated) -> Found:
    return "saga_compensated", _cause(state)


def _cause(state: SagaState) -> Details:
    turn = state.turn
    if turn is None:
        return {"reason": "", "detail": "", "failure": None}
    return {"reason": turn.kind.value, "detail": turn.reason, "failure": turn.failure}


def _parked(state: SagaState, fact: e.SagaParked) -> Found:
    return "saga_failed", {**_letter(fact.letter), "failure": _failure_behind(state, fact.letter)}


def _unparked(state: SagaState, fact: e.SagaUnparked) -> Found:
    return None if fact.to is SagaStatus.FAILED else ("saga_resumed", {"state": fact.to.value})


def _rerun(state: SagaState, fact: e.SagaRerun) -> Found:
    return None if state.status is SagaStatus.FAILED else ("saga_resumed", {"state": SagaStatus.RUNNING.value})


def _overdue(state: SagaState, fact: e.SagaOverdue) -> Found:
    return "saga_overdue", {}


def _late(state: SagaState, fact: e.EffectAfterEnd) -> Found:
    return "saga_late_effect", {**_letter(fact.letter), "result": fact.letter.result}


def _letter(letter: DeadLetter) -> Details:
    return {
        "step": letter.step,
        "item": letter.item,
        "direction": letter.direction.value,
        "reason": letter.reason.value,
        "detail": letter.detail,
    }


def _failure_behind(state: SagaState, letter: DeadLetter) -> Failure | None:
    step = state.step(letter.step, letter.item)
    return step.activity(letter.direction).failure if step is not None else None


# --------------------------------------------------------------------------------------------------------------- steps


def _dispatched(state: SagaState, fact: e.StepDispatched) -> Found:
    return "step_dispatched", {**_step(fact.slot), "attempt": fact.attempt}


def _awaiting(state: SagaState, fact: e.StepAwaiting) -> Found:
    return "step_awaiting", _step(fact.slot)


def _succeeded(state: SagaState, fact: e.StepSucceeded) -> Found:
    return "step_succeeded", {**_step(fact.slot), "attempt": fact.attempt, "result": fact.result}


def _failed(state: SagaState, fact: e.StepFailed | e.StepGivenUp) -> Found:
    return "step_failed", {**_step(fact.slot), "failure": fact.failure}


def _stuck(state: SagaState, fact: e.StepExhausted | e.StepInDoubt) -> Found:
    step = state.step(fact.slot.step, fact.slot.item)
    return "step_failed", {**_step(fact.slot), "failure": step.action.failure if step is not None else None}


def _skipped(state: SagaState, fact: e.StepSkipped) -> Found:
    return "step_skipped", {**_step(fact.slot), "result": fact.result}


def _undone(state: SagaState, fact: e.StepCompensated) -> Found:
    return "step_compensated", {**_step(fact.slot), "attempt": fact.attempt}


def _all_undone(state: SagaState, fact: e.FanOutUndone) -> Found:
    return "step_compensated", {**_step(fact.slot), "attempt": 0}


def _step(slot: Slot) -> Details:
    return {"step": slot.step, "item": slot.item}


_READERS: Mapping[type[Any], Callable[[SagaState, Any], Found]] = {
    e.SagaStarted: _started,
    e.SagaCompleted: _completed,
    e.SagaCompensating: _compensating,
    e.SagaCompensated: _compensated,
    e.SagaParked: _parked,
    e.SagaUnparked: _unparked,
    e.SagaRerun: _rerun,
    e.SagaOverdue: _overdue,
    e.EffectAfterEnd: _late,
    e.StepDispatched: _dispatched,
    e.StepAwaiting: _awaiting,
    e.StepSucceeded: _succeeded,
    e.StepFailed: _failed,
    e.StepGivenUp: _failed,
    e.StepExhausted: _stuck,
    e.StepInDoubt: _stuck,
    e.StepSkipped: _skipped,
    e.StepCompensated: _undone,
    e.FanOutUndone: _all_undone,
}
