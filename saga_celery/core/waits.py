"""What ends a wait: an event, or the time."""

from __future__ import annotations

from saga_celery.core import events as e
from saga_celery.core.attempts import action_failed_for_good, exhausted, settle_success
from saga_celery.core.awaiting import waits
from saga_celery.core.commands import Settle
from saga_celery.core.draft import Draft
from saga_celery.core.lifecycle import OPEN_ACTION, PARKED_ACTION
from saga_celery.core.plan import StepKind
from saga_celery.core.progress import advance, pivot_passed
from saga_celery.core.states import Direction, Failure, SagaStatus, Slot, StepState, StepStatus

BY_CLOCK = "clock"
"""Who ends a wait that nobody answers."""


def event_sent(draft: Draft, news: e.EventSent) -> None:
    """Answer the wait; keep the answer when it comes early, note it when it comes too late.

    The answer to a wait whose time ran out behind the pivot, where it is parked, is not too late.
    """
    wait = _planned(draft, news)
    if wait is None:
        _note(draft, news.wait, news, "no wait of this name is in the plan that the saga was started with")
        return
    step = draft.state.step(wait)
    if step is not None and step.status in (StepStatus.AWAITING, StepStatus.EXHAUSTED):
        answer = e.AttemptSucceeded(slot=step.slot(Direction.ACTION), attempt=0, result=news.payload)
        settle_success(draft, answer.slot, answer, late=False, by=news.actor or news.event_id)
    elif draft.state.mail_for(wait, _generation(step)) is not None:
        _note(draft, wait, news, "an earlier event answers the wait")
    elif draft.state.status in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED):
        _note(draft, wait, news, "the saga had ended")
    elif step is None or step.status in (StepStatus.REOPENED, StepStatus.SCHEDULED, *OPEN_ACTION, *PARKED_ACTION):
        _keep(draft, wait, news, _generation(step))
    else:
        _note(draft, wait, news, f"the wait was over: {step.status.value}")


def _generation(step: StepState | None) -> int:
    return 1 if step is None else step.action.generation


def _keep(draft: Draft, wait: str, news: e.EventSent, generation: int) -> None:
    kept = e.EventKept(wait=wait, event_id=news.event_id, payload=news.payload, actor=news.actor, generation=generation)
    draft.record(kept)


def _planned(draft: Draft, news: e.EventSent) -> str | None:
    """The name that the wait has in the saga's plan."""
    known = (draft.plan.by_name.get(name) for name in (news.wait, *news.formerly))
    return next((step.name for step in known if step is not None and step.kind is StepKind.WAIT), None)


def _note(draft: Draft, wait: str, news: e.EventSent, why: str) -> None:
    note = f"event {news.event_id} changes nothing: {why}"
    draft.record(e.NewsIgnored(slot=Slot(wait), attempt=0, note=note))


def time_over(draft: Draft, slot: Slot, step: StepState) -> None:
    """A sleep is over; a wait that nobody answered is passed over, or fails."""
    if not waits(draft, step.name):
        slept = e.AttemptSucceeded(slot=slot, attempt=step.action.attempt)
        settle_success(draft, slot, slept, late=False, by=BY_CLOCK)
    elif step.action.policy.skippable:
        draft.record(e.StepSkipped(slot=slot, by=BY_CLOCK))
        draft.command(Settle(slot=slot))
        advance(draft)
    else:
        _unanswered(draft, slot, step)


def _unanswered(draft: Draft, slot: Slot, step: StepState) -> None:
    message = f"nobody answered within {step.action.policy.wait:g} s"
    failure = Failure(type="saga_celery.WaitTimeout", message=message, step=step.name)
    if pivot_passed(draft):
        exhausted(draft, slot, failure)
    else:
        action_failed_for_good(draft, slot, failure)
