"""What the saga's own code answered when it was asked for a message or a result."""

from __future__ import annotations

from typing import assert_never

from saga_celery.core import attempts, fan_out
from saga_celery.core import events as e
from saga_celery.core.awaiting import await_event
from saga_celery.core.commands import Rest, Send, StartChild
from saga_celery.core.draft import Draft, letter
from saga_celery.core.progress import advance, dispatch_compensation, is_child, owes_compensation, pivot_passed, turn
from saga_celery.core.states import Direction, Reason, SagaStatus, Slot, StepStatus, Turn, TurnKind


def rendered(draft: Draft, news: e.Rendered) -> None:
    """Store the message; where its turn has come, send it."""
    match news.slot.direction:
        case Direction.ACTION:
            _action(draft, news)
        case Direction.COMPENSATION:
            _compensation(draft, news)
        case Direction.PROBE:
            _probe(draft, news)
        case _ as never:
            assert_never(never)


def _action(draft: Draft, news: e.Rendered) -> None:
    if not _its_turn(draft, news.slot):
        return
    if news.message is None:
        draft.record(e.StepSkipped(slot=news.slot))
        advance(draft)
        return
    draft.record(e.ActivityRendered(slot=news.slot, message=news.message, policy=news.policy))
    if is_child(draft, news.slot.step):
        draft.record(e.StepAwaiting(slot=news.slot))
        draft.to_child(StartChild(slot=news.slot))
    else:
        draft.record(e.StepDispatched(slot=news.slot, attempt=1))
        draft.command(Send(slot=news.slot, attempt=1))


def _its_turn(draft: Draft, slot: Slot) -> bool:
    step = draft.step(slot)
    return step is not None and step.status is StepStatus.SCHEDULED and draft.state.status is SagaStatus.RUNNING


def wait_rendered(draft: Draft, news: e.WaitRendered) -> None:
    """Begin to wait; nobody has to be asked."""
    if _its_turn(draft, news.slot):
        draft.record(e.ActivityRendered(slot=news.slot, message=None, policy=news.policy))
        await_event(draft, news.slot)


def fanned_out(draft: Draft, news: e.FanOutRendered) -> None:
    """Store the messages of all items, and send as many as may go at once."""
    if fan_out.rendered(draft, news):
        advance(draft)


def _compensation(draft: Draft, news: e.Rendered) -> None:
    step = draft.step(news.slot)
    if step is None or step.slot(Direction.COMPENSATION) != news.slot:
        return
    fact = e.ActivityRendered(slot=news.slot, message=news.message, policy=news.policy)
    if step.status is StepStatus.SUCCEEDED and owes_compensation(draft, step):
        draft.record(fact)
        advance(draft)
    elif step.status is StepStatus.COMPENSATION_SCHEDULED and draft.state.status is SagaStatus.COMPENSATING:
        draft.record(fact)
        _start_compensation(draft, news)


def _start_compensation(draft: Draft, news: e.Rendered) -> None:
    if news.message is None:
        draft.record(e.CompensationSkipped(slot=news.slot))
        advance(draft)
    else:
        dispatch_compensation(draft, news.slot)


def _probe(draft: Draft, news: e.Rendered) -> None:
    step = draft.step(news.slot)
    if step is None or step.status is not StepStatus.PROBING or step.probe is not None:
        return
    if news.message is None:
        attempts.in_doubt(draft, step.slot(Direction.ACTION), "the probe was skipped")
        return
    draft.record(e.ActivityRendered(slot=news.slot, message=news.message, policy=news.policy))
    draft.command(Rest(slot=news.slot, attempt=0, seconds=step.action.policy.settle_delay))


def aborted(draft: Draft, news: e.RenderAborted) -> None:
    """The saga's author wants to turn round; behind the pivot that is no longer possible, so it parks."""
    if not _its_turn(draft, news.slot):
        return
    if pivot_passed(draft):
        draft.park(letter(news.slot, Reason.RENDER_FAILED, f"aborted behind the pivot: {news.reason}"))
        return
    turn(draft, Turn(kind=TurnKind.ABORT, reason=news.reason, step=news.slot.step))
    advance(draft)


def failed(draft: Draft, news: e.RenderFailed) -> None:
    """The saga's code raised: what was recorded stands, and the saga waits for a person."""
    if draft.state.status in (SagaStatus.RUNNING, SagaStatus.COMPENSATING):
        detail = f"{news.failure.type}: {news.failure.message}\n{news.failure.traceback}".rstrip()
        slot = news.slot or Slot("")
        draft.park(letter(slot, Reason.RENDER_FAILED, detail))


def result_rendered(draft: Draft, news: e.ResultRendered) -> None:
    """Every step is done and the result is made: the saga is complete."""
    if draft.state.status is SagaStatus.RUNNING and draft.state.turn is None:
        draft.record(e.SagaCompleted(result=news.result))
