"""Statuses, coloured by how it went."""

from __future__ import annotations

from saga_celery.app.reading import words
from saga_celery.cli.table import Cell, bad, doubtful, faint, good
from saga_celery.core.states import Direction, SagaStatus, StepState, StepStatus

_GOOD = (StepStatus.SUCCEEDED,)
_BAD = (
    StepStatus.EXHAUSTED,
    StepStatus.IN_DOUBT,
    StepStatus.COMPENSATION_EXHAUSTED,
    StepStatus.COMPENSATION_IN_DOUBT,
)
_FAINT = (StepStatus.SKIPPED, StepStatus.CANCELLED, StepStatus.COMPENSATION_SKIPPED)


def step_status(step: StepState) -> Cell:
    """Where a step stands, as a sentence would put it."""
    status, text = step.status, words.step_status(step)
    if step.activity(Direction.COMPENSATION).waived_by:
        return doubtful(text)
    if status in _GOOD:
        return good(text)
    if status in _BAD:
        return bad(text)
    return faint(text) if status in _FAINT else doubtful(text)


def saga_state(state: SagaStatus) -> Cell:
    """A saga's state."""
    if state is SagaStatus.COMPLETED:
        return good(state.value)
    if state is SagaStatus.FAILED:
        return bad(state.value)
    return doubtful(state.value)
