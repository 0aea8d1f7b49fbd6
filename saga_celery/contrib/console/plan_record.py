"""The plan of a saga, and how far each of its steps got: what a graph is drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from saga_celery.app.reading import words
from saga_celery.core.plan import Plan, PlannedStep
from saga_celery.core.states import SagaState, StepState, StepStatus

DONE = frozenset({StepStatus.SUCCEEDED, StepStatus.SKIPPED})
UNDONE = frozenset({StepStatus.COMPENSATED, StepStatus.COMPENSATION_SKIPPED, StepStatus.CANCELLED})
WRONG = frozenset(
    {
        StepStatus.FAILED,
        StepStatus.EXHAUSTED,
        StepStatus.GIVEN_UP,
        StepStatus.IN_DOUBT,
        StepStatus.COMPENSATION_EXHAUSTED,
        StepStatus.COMPENSATION_IN_DOUBT,
    }
)


def plan_record(plan: Plan, state: SagaState) -> list[dict[str, Any]]:
    """The steps of a plan in their order, each with where it stands; one that has not begun has no `status`.

    Args:
        plan: the graph that the saga was started with.
        state: the saga, as it may be shown.
    """
    pivot = next((place for place, step in enumerate(plan.steps) if step.pivot), len(plan.steps))
    return [
        {**_planned(step, state), "undo": _undo(step, behind_pivot=place > pivot)}
        for place, step in enumerate(plan.steps)
    ]


def look(status: StepStatus | None) -> str:
    """The colour of a step: `done`, `undone`, `wrong`, `busy`, or `idle` where it has not begun."""
    if status is None:
        return "idle"
    known = (("done", DONE), ("undone", UNDONE), ("wrong", WRONG))
    return next((name for name, some in known if status in some), "busy")


def _planned(step: PlannedStep, state: SagaState) -> dict[str, Any]:
    found = state.step(step.name)
    items = list(_items(step, state))
    return {
        "name": step.name,
        "after": step.after,
        "kind": step.kind,
        "pivot": step.pivot,
        "compensable": step.compensable,
        "status": found.status if found else None,
        "look": look(found.status if found else None),
        "words": words.step_status(found) if found else "not begun",
        "items": len(items),
        "items_done": sum(item.status in DONE for item in items),
    }


def _undo(step: PlannedStep, *, behind_pivot: bool) -> str:
    """Whether the step can be undone: `pivot`, `yes`, `forward` (behind the point of no return) or `no`."""
    if step.pivot:
        return "pivot"
    if step.compensable:
        return "yes"
    return "forward" if behind_pivot else "no"


def _items(step: PlannedStep, state: SagaState) -> Iterator[StepState]:
    return (each for (name, item), each in state.steps.items() if name == step.name and item)
