"""`retry` with other arguments: what ran before is settled, so it runs again as a new generation, under a new key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saga_celery.core import events as e
from saga_celery.core.attempts import dispatch_action
from saga_celery.core.audit import acted, moves
from saga_celery.core.copies import replace
from saga_celery.core.draft import Draft, NotAllowed
from saga_celery.core.keys import slot_key
from saga_celery.core.plan import StepKind
from saga_celery.core.progress import advance, dispatch_compensation
from saga_celery.core.states import Activity, DeadLetter, Direction, Message, Reason, Slot, StepState, StepStatus

SETTLED = (Reason.EXHAUSTED, Reason.COMPENSATION_EXHAUSTED)
RESTING = {
    StepStatus.BACKING_OFF: Direction.ACTION,
    StepStatus.COMPENSATION_BACKING_OFF: Direction.COMPENSATION,
}


def retry_edited(draft: Draft, news: e.OperatorAsked) -> None:
    """Run a step, or its compensation, with other arguments than those that it failed with.

    Raises:
        NotAllowed: it is not settled what became of the step, or no message of it is there to be edited.
    """
    slot, found = _settled(draft, news)
    step = draft.state.steps[(slot.step, slot.item)]
    if draft.plan.by_name[slot.step].kind is not StepKind.TASK and slot.direction is Direction.ACTION:
        raise NotAllowed(f"step {slot.step!r} waits, and runs no task whose arguments could be changed; retry it")
    before, activity = _editable(slot, step.activity(slot.direction))
    again = slot._replace(generation=slot.generation + 1)
    after = _edited(before, news, slot_key(draft.state.id, _keyed(slot)), slot_key(draft.state.id, _keyed(again)))
    acted(draft, news)
    if found is not None:
        draft.unpark(found)
    _open(draft, again, step)
    draft.record(e.InputEdited(slot=again, before=before, after=after, changed=_changed(before, after)))
    draft.record(e.ActivityRendered(slot=again, message=after, policy=activity.policy))
    if again.direction is Direction.ACTION:
        dispatch_action(draft, again)
    else:
        dispatch_compensation(draft, again)
    advance(draft)  # what else was told to go on, while this letter held it up


def _keyed(slot: Slot) -> Slot:
    """What the key was made of: the actions of a fan-out have one key, to which each item adds its own part."""
    return slot._replace(item=0) if slot.direction is Direction.ACTION else slot


def _settled(draft: Draft, news: e.OperatorAsked) -> tuple[Slot, DeadLetter | None]:
    """What is meant: the one activity of the step that is parked, or rests before its next attempt."""
    step = draft.state.step(news.step)
    if step is None:
        raise NotAllowed(f"name the step whose arguments are to be changed; {moves(draft)}")
    if step.status in RESTING:
        return step.slot(RESTING[step.status]), None
    for found in draft.state.letters:
        if (found.step, found.item) == (step.name, step.item):
            return step.slot(_parked(found)), found
    raise NotAllowed(f"step {news.step!r} is {step.status.value}, and neither parked nor resting; {moves(draft)}")


def _parked(found: DeadLetter) -> Direction:
    if found.reason is Reason.IN_DOUBT:
        raise NotAllowed(
            f"nobody knows whether step {found.step!r} took effect, and other arguments would be a second one: "
            "`resolve` it first"
        )
    if found.reason not in SETTLED:
        raise NotAllowed(f"step {found.step!r} is parked as {found.reason.value}; other arguments do not mend that")
    return found.direction


def _editable(slot: Slot, activity: Activity) -> tuple[Message, Activity]:
    if activity.lost:
        raise NotAllowed(
            f"nobody knows whether an earlier attempt of step {slot.step!r} took effect, and other arguments would be "
            "a second one: retry it as it is, under the same key, or skip it"
        )
    assert activity.message is not None  # noqa: S101 - only what was rendered can have failed
    return activity.message, activity


def _open(draft: Draft, again: Slot, step: StepState) -> None:
    """A copy of the old message that still turns up would have an effect of its own, which is told as late news."""
    if again.direction is Direction.ACTION:
        draft.record(e.StepReopened(slot=again, heard=False))
        draft.record(e.StepScheduled(slot=again, order=step.order))
    else:
        draft.record(e.CompensationScheduled(slot=again))


def _edited(before: Message, news: e.OperatorAsked, old_key: str, new_key: str) -> Message:
    args = before.args if news.args is None else news.args
    kwargs = {**before.kwargs, **(news.kwargs or {})}
    args, kwargs = _rekeyed([args, kwargs], old_key, new_key)
    return replace(before, args=tuple(args), kwargs=kwargs)


def _changed(before: Message, after: Message) -> tuple[str, ...]:
    return tuple(name for name in after.kwargs if before.kwargs.get(name, ...) != after.kwargs[name])


def _rekeyed(value: Any, old: str, new: str) -> Any:
    """The key of the generation before, wherever it stands in a text, would answer with what it ended with."""
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, list | tuple):
        return [_rekeyed(each, old, new) for each in value]
    if isinstance(value, Mapping):
        return {_rekeyed(name, old, new): _rekeyed(each, old, new) for name, each in value.items()}
    return value
