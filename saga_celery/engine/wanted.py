"""Whether anybody waits for an attempt that is running."""

from __future__ import annotations

from saga_celery.core.attempts import OUT
from saga_celery.core.draft import Draft
from saga_celery.core.plan import Plan
from saga_celery.core.progress import pivot_passed
from saga_celery.core.states import Direction, SagaState, Slot


def wanted(plan: Plan, state: SagaState, slot: Slot, attempt: int, worker: str) -> bool:
    """Tell whether an attempt shall go on.

    It shall not where another copy has taken over, and where its saga turns round and would only undo it. Behind the
    pivot nothing is undone, so there a saga that was told to turn round goes forward all the same.

    Args:
        plan: the saga's plan.
        state: the saga as it is stored.
        slot: what runs.
        attempt: which attempt of it.
        worker: who runs it.
    """
    step = state.step(slot.step, slot.item)
    if step is None or step.status is not OUT[slot.direction]:
        return False
    activity = step.activity(slot.direction)
    if (activity.generation, activity.attempt) != (slot.generation, attempt) or activity.worker not in ("", worker):
        return False
    return state.turn is None or slot.direction is not Direction.ACTION or pivot_passed(Draft(plan, state))
