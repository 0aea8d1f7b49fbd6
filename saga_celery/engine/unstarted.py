"""What of a saga is out, and of that what nobody claimed: it may have been in the hands of a process that died."""

from __future__ import annotations

from collections.abc import Iterator

from saga_celery.core.attempts import OUT
from saga_celery.core.states import Direction, SagaState, Slot, StepStatus
from saga_celery.core.steps import Steps, marks

_DIRECTIONS: dict[StepStatus, Direction] = {status: direction for direction, status in OUT.items()}


def unstarted(state: SagaState) -> Iterator[Slot]:
    """Addresses of the activities that nobody has claimed.

    Args:
        state: the saga as it is stored.
    """
    for step in Steps.of(state.steps).units(marks(*_DIRECTIONS)):
        slot = step.slot(_DIRECTIONS[step.status])
        if not step.activity(slot.direction).worker:
            yield slot


def is_out(state: SagaState, slot: Slot, attempt: int) -> bool:
    """Tell whether an attempt has no outcome yet.

    Args:
        state: the saga as it is stored.
        slot: the activity.
        attempt: its attempt.
    """
    step = state.step(slot.step, slot.item)
    if step is None or step.status is not OUT[slot.direction]:
        return False
    activity = step.activity(slot.direction)
    return (activity.generation, activity.attempt) == (slot.generation, attempt)
