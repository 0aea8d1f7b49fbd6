"""A fan-out: one step that runs a list of messages, so many at once, and is done when they all are.

Its items are attempted, undone and parked like steps; only what they have in common is decided here: who goes next,
when the list is complete, and when nothing of it stands any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from saga_celery.core import events as e
from saga_celery.core.commands import Send
from saga_celery.core.draft import Draft
from saga_celery.core.lifecycle import OPEN_ACTION, OPEN_COMPENSATION, PARKED_COMPENSATION
from saga_celery.core.states import Direction, Failure, SagaStatus, StepState, StepStatus, Turn
from saga_celery.core.steps import EVERY, marks

WAITING = marks(StepStatus.QUEUED)
UNDER_WAY = marks(StepStatus.SCHEDULED, *OPEN_ACTION)
NOT_DONE = EVERY & ~marks(StepStatus.SUCCEEDED, StepStatus.SKIPPED)
TO_UNDO = marks(StepStatus.SUCCEEDED, StepStatus.GIVEN_UP)
UNDOING = marks(StepStatus.COMPENSATION_SCHEDULED, *OPEN_COMPENSATION, *PARKED_COMPENSATION)


def rendered(draft: Draft, news: e.FanOutRendered) -> bool:
    """Store the items, in place of the step's own message; False when the step's turn is over."""
    step = draft.step(news.slot)
    if step is None or step.status is not StepStatus.SCHEDULED or draft.state.status is not SagaStatus.RUNNING:
        return False
    draft.record(e.StepFannedOut(slot=news.slot, items=len(news.messages), policy=news.policy))
    for number, message in enumerate(news.messages, 1):
        item = news.slot._replace(item=number)
        draft.record(e.ItemQueued(slot=item, order=step.order, message=message, policy=news.policy))
    return True


# ------------------------------------------------------------------------------------------------------------- forward


def go_on(draft: Draft) -> None:
    """Let the next items out; a fan-out of which every item is done has the list of their results."""
    for step in _standing(draft, StepStatus.FANNED_OUT):
        for item in islice(draft.steps.units(WAITING, of=step.name), _room(draft, step, UNDER_WAY)):
            _let_out(draft, item)
        if not draft.steps.any(NOT_DONE, of=step.name):
            result = results_of(draft, step)
            draft.record(e.StepSucceeded(slot=step.slot(Direction.ACTION), attempt=0, result=result))


def results_of(draft: Draft, step: StepState) -> list[Any]:
    """What the items returned, in the order of the list; None for those that were passed over."""
    return [item.result for item in draft.steps.units(EVERY, of=step.name)]


def _let_out(draft: Draft, item: StepState) -> None:
    slot, attempt = item.slot(Direction.ACTION), item.action.attempt + 1
    draft.record(e.StepDispatched(slot=slot, attempt=attempt))
    draft.command(Send(slot=slot, attempt=attempt))


def _room(draft: Draft, step: StepState, busy: int) -> int | None:
    """How many more items may be under way; None: as many as there are."""
    limit = step.action.policy.limit
    if limit is None:
        return None
    return max(0, limit - sum(1 for _ in draft.steps.units(busy, of=step.name)))


def _standing(draft: Draft, *statuses: StepStatus) -> Iterator[StepState]:
    return (step for step in draft.steps.own() if step.items is not None and step.status in statuses)


# ------------------------------------------------------------------------------------------------------------ backward


def give_up(draft: Draft, cause: Turn) -> None:
    """The saga goes backward: lists that are not complete will never be."""
    failure = cause.failure or Failure(type=cause.kind, message=cause.reason)
    for step in _standing(draft, StepStatus.FANNED_OUT):
        draft.record(e.StepGivenUp(slot=step.slot(Direction.ACTION), failure=failure))


def next_to_undo(draft: Draft, step: StepState) -> list[StepState]:
    """The items whose compensation may go out now, the last one first; of a plain step that step."""
    if step.items is None:
        return list(draft.steps.units(TO_UNDO, of=step.name))
    waiting = draft.steps.units(TO_UNDO, of=step.name, backward=True)
    return list(islice(waiting, _room(draft, step, UNDOING)))


def close(draft: Draft) -> None:
    """Note of which fan-outs nothing stands any more."""
    for step in _standing(draft, StepStatus.SUCCEEDED, StepStatus.GIVEN_UP):
        if draft.plan.by_name[step.name].compensable and not draft.steps.any(TO_UNDO | UNDOING, of=step.name):
            draft.record(e.FanOutUndone(slot=step.slot(Direction.ACTION)))
