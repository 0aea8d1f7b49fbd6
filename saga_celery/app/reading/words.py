"""Statuses in plain words."""

from __future__ import annotations

from collections.abc import Mapping

from saga_celery.app.reading.excerpt import excerpt
from saga_celery.core import states
from saga_celery.core.states import DeadLetter, Direction, Reason, Slot, StepState, StepStatus

_STEP_WORDS: Mapping[StepStatus, str] = {
    StepStatus.SCHEDULED: "next in turn",
    StepStatus.FANNED_OUT: "under way",
    StepStatus.QUEUED: "waits until fewer are under way",
    StepStatus.DISPATCHED: "under way",
    StepStatus.BACKING_OFF: "rests before a retry",
    StepStatus.PROBING: "outcome unknown, being asked for",
    StepStatus.AWAITING: "waits for news",
    StepStatus.SUCCEEDED: "done",
    StepStatus.SKIPPED: "skipped",
    StepStatus.CANCELLED: "called off before it began",
    StepStatus.FAILED: "failed, took no effect",
    StepStatus.EXHAUSTED: "failed for good behind the pivot",
    StepStatus.GIVEN_UP: "given up, to be undone",
    StepStatus.IN_DOUBT: "in doubt: nobody knows whether it took effect",
    StepStatus.COMPENSATION_SCHEDULED: "to be undone next",
    StepStatus.COMPENSATING: "being undone",
    StepStatus.COMPENSATION_BACKING_OFF: "rests before undoing again",
    StepStatus.COMPENSATED: "undone",
    StepStatus.COMPENSATION_EXHAUSTED: "undoing failed for good",
    StepStatus.COMPENSATION_IN_DOUBT: "in doubt: nobody knows whether it was undone",
    StepStatus.COMPENSATION_SKIPPED: "nothing to undo",
    StepStatus.REOPENED: "to be run again",
}

_REASONS: Mapping[Reason, str] = {
    Reason.RENDER_FAILED: "the saga's own code raised",
    Reason.EXHAUSTED: "failed for good behind the pivot",
    Reason.COMPENSATION_EXHAUSTED: "undoing it failed for good",
    Reason.IN_DOUBT: "nobody knows whether it took effect",
    Reason.LATE_EFFECT: "took effect after the saga's end",
}


def status(status: StepStatus) -> str:
    """A status alone."""
    return _STEP_WORDS[status]


def step_status(step: StepState) -> str:
    """Where a step stands, as a sentence would put it."""
    status, waived_by = step.status, step.activity(Direction.COMPENSATION).waived_by
    if waived_by and status is StepStatus.SUCCEEDED:
        return f"{_STEP_WORDS[status]} (undo waived by {excerpt(waived_by)})"
    if waived_by and status is StepStatus.COMPENSATION_SKIPPED:
        return f"not undone, said {excerpt(waived_by)}"
    return _STEP_WORDS[status]


def reason(letter: DeadLetter) -> str:
    """Why something is in the dead letters."""
    if letter.reason is Reason.IN_DOUBT and letter.direction is Direction.COMPENSATION:
        return "nobody knows whether it was undone"
    return _REASONS[letter.reason]


def step_label(step: str, item: int = 0) -> str:
    """`charge`, or `charge[2]` for an item of a fan-out; a saga's result has no step."""
    return states.step_label(step, item) or "result"


def activity_label(slot: Slot) -> str:
    """`charge`, `compensation of charge`, `probe of charge`."""
    label = step_label(slot.step, slot.item)
    return label if slot.direction is Direction.ACTION else f"{slot.direction.value} of {label}"
