"""A saga within a saga: what its parent learns of it, and what it learns of its parent."""

from __future__ import annotations

from saga_celery.core import events as e
from saga_celery.core.attempts import action_failed_for_good, exhausted, settle_compensation, settle_success
from saga_celery.core.draft import Draft
from saga_celery.core.progress import advance, pivot_passed, take_up, turn
from saga_celery.core.states import Direction, Failure, Reason, SagaStatus, Slot, StepState, StepStatus, Turn, TurnKind


def ended(draft: Draft, news: e.ChildEnded) -> None:
    """A child that was completed is a success, one that is undone a failure, or the compensation that was asked for."""
    step = draft.step(news.slot)
    if step is None or step.action.generation != news.slot.generation:
        _note(draft, news.slot, "the child of an older generation ended")
    elif news.status is SagaStatus.COMPLETED and step.status is StepStatus.AWAITING:
        completed = e.AttemptSucceeded(slot=news.slot, attempt=0, result=news.result)
        settle_success(draft, news.slot, completed, late=False, by="child")
    elif news.status is SagaStatus.COMPENSATED and step.status is StepStatus.AWAITING:
        _undone(draft, news, step)
    elif news.status is SagaStatus.COMPENSATED and step.status is StepStatus.COMPENSATING:
        settle_compensation(draft, step.slot(Direction.COMPENSATION), step.activity(Direction.COMPENSATION).attempt)
    else:
        _note(draft, news.slot, f"the child ended {news.status}, while the step was {step.status.value}")


def _undone(draft: Draft, news: e.ChildEnded, step: StepState) -> None:
    failure = news.failure or Failure(type="saga_celery.ChildCompensated", step=step.name)
    if pivot_passed(draft):
        exhausted(draft, news.slot, failure)
    else:
        action_failed_for_good(draft, news.slot, failure)


def parent_turned(draft: Draft, news: e.ParentTurned) -> None:
    """Go backward with the parent; a child behind its own pivot goes forward all the same.

    What was completed is undone only by a parent that knows of it: to one that does not, the completion is news on its
    way, and may be its pivot.
    """
    match draft.state.status:
        case SagaStatus.PENDING if draft.state.turn is None:
            turn(draft, _cause(news, TurnKind.CANCEL))
            take_up(draft)
        case SagaStatus.RUNNING | SagaStatus.FAILED | SagaStatus.COMPLETED if pivot_passed(draft):
            _note(draft, Slot(""), "the parent turned round, but this saga is behind its pivot")
        case SagaStatus.RUNNING | SagaStatus.FAILED if draft.state.turn is None:
            _unpark_what_was_never_sent(draft)
            turn(draft, _cause(news, TurnKind.CANCEL))
            advance(draft)
        case SagaStatus.COMPLETED if news.undo:
            draft.record(e.SagaTurned(turn=_cause(news, TurnKind.REQUEST)))
            draft.record(e.SagaCompensating())
            advance(draft)
        case _:
            _note(draft, Slot(""), f"the parent turned round, but {_already(draft)}")


def _already(draft: Draft) -> str:
    """Why there is nothing to turn; one that is suspended keeps its status until it is resumed."""
    told = draft.state.status in (SagaStatus.PENDING, SagaStatus.RUNNING)
    return "this saga was told to already" if told else f"this saga is {draft.state.status} already"


def _unpark_what_was_never_sent(draft: Draft) -> None:
    """Code that can not make a message is in nobody's way any more; an activity in doubt has to be settled first."""
    if all(found.reason is Reason.RENDER_FAILED for found in draft.state.letters):
        for found in draft.state.letters:
            draft.unpark(found)


def _cause(news: e.ParentTurned, kind: TurnKind) -> Turn:
    return Turn(kind=kind, reason=f"the parent saga turned round: {news.reason}")


def _note(draft: Draft, slot: Slot, note: str) -> None:
    draft.record(e.NewsIgnored(slot=slot, attempt=0, note=note))
