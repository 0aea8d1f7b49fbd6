"""What of an open saga has yet to be rendered, hence needs the class of the day on which that happens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from saga_celery.core.plan import Plan, PlannedStep, StepKind
from saga_celery.core.states import Activity, Direction, SagaState, SagaStatus, StepState, StepStatus

S = StepStatus
_OPEN = (S.QUEUED, S.DISPATCHED, S.BACKING_OFF, S.PROBING, S.AWAITING, S.IN_DOUBT, S.EXHAUSTED)
"""The action is out, and its success would bring its compensation with it."""


class Ahead(NamedTuple):
    """Something that will be rendered, or may be."""

    step: str
    """Its name in the plan; empty: the result of the saga."""
    direction: Direction


RESULT = Ahead("", Direction.ACTION)


def ahead(plan: Plan, state: SagaState) -> Iterator[Ahead]:
    """What an open saga may have to render yet, were it to go on from here.

    Args:
        plan: the graph that it was started with.
        state: the saga.
    """
    forward = _goes_forward(plan, state)
    for planned in plan.steps:
        known: list[StepState | None] = [step for (name, _), step in state.steps.items() if name == planned.name]
        yield from dict.fromkeys(each for step in known or [None] for each in _of_step(planned, step, forward=forward))
    if forward:
        yield RESULT


def whole(plan: Plan) -> Iterator[Ahead]:
    """Everything that sagas of a plan could ever have to render, but for probes, of which a plan knows nothing."""
    for planned in plan.steps:
        yield from _of_step(planned, None, forward=True)
    yield RESULT


def _goes_forward(plan: Plan, state: SagaState) -> bool:
    """Whether steps will begin; a pivot in flight may yet call off that the saga turns round."""
    stands = state.parked_from if state.status is SagaStatus.FAILED else state.status
    pivots = [state.step(planned.name) for planned in plan.steps if planned.pivot]
    in_flight = any(pivot is not None and pivot.status in _OPEN for pivot in pivots)
    return stands in (SagaStatus.PENDING, SagaStatus.RUNNING) and (state.turn is None or in_flight)


def _of_step(planned: PlannedStep, step: StepState | None, *, forward: bool) -> Iterator[Ahead]:
    undo = Ahead(planned.name, Direction.COMPENSATION)
    if step is None or step.status in (S.SCHEDULED, S.CANCELLED):
        if forward:
            yield Ahead(planned.name, Direction.ACTION)
            yield from [undo] if _has_undo(planned) else []
        return
    if step.status in _OPEN and step.action.policy.probe and not _rendered(step.probe):
        yield Ahead(planned.name, Direction.PROBE)
    if _has_undo(planned) and step.items is None and _undo_is_ahead(step):
        yield undo


def _has_undo(planned: PlannedStep) -> bool:
    """Whether there is a method that undoes the step; a child saga undoes itself."""
    return planned.compensable and planned.kind is not StepKind.CHILD


def _undo_is_ahead(step: StepState) -> bool:
    """A compensation is rendered with the success that it undoes, or when what was given up is undone blindly."""
    if step.status in (S.SUCCEEDED, S.COMPENSATION_SCHEDULED):
        return not step.undo_is_rendered
    return step.status in (*_OPEN, S.GIVEN_UP)


def _rendered(activity: Activity | None) -> bool:
    return activity is not None and (activity.message is not None or activity.void)
