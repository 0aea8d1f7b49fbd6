"""A step begins to wait: for an event, or for a time."""

from __future__ import annotations

from saga_celery.core import events as e
from saga_celery.core.commands import Rest, Settle
from saga_celery.core.draft import Draft
from saga_celery.core.plan import StepKind
from saga_celery.core.progress import advance
from saga_celery.core.states import Direction, Slot


def waits(draft: Draft, name: str) -> bool:
    """Tell whether a step waits for an event."""
    return draft.plan.by_name[name].kind is StepKind.WAIT


def await_event(draft: Draft, slot: Slot) -> None:
    """Wait, unless the answer was here first, or the saga is about to turn round."""
    draft.record(e.StepAwaiting(slot=slot))
    for direction in Direction:
        draft.command(Settle(slot=slot._replace(direction=direction)))
    mail = draft.state.mail_for(slot.step, slot.generation)
    if draft.state.turn is not None:
        draft.record(e.StepCancelled(slot=slot))
    elif mail is not None:
        draft.record(e.StepSucceeded(slot=slot, attempt=0, result=mail.payload, by=mail.actor or mail.event_id))
    else:
        _set_alarm(draft, slot)
    advance(draft)


def _set_alarm(draft: Draft, slot: Slot) -> None:
    action = draft.state.steps[(slot.step, slot.item)].action
    draft.command(Rest(slot=slot, attempt=action.attempt, seconds=action.policy.wait))
