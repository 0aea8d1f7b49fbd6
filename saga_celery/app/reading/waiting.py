"""Steps that wait for an event or for a time: for what, until when, and what happens then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from saga_celery.app.reading.durations import spoken
from saga_celery.app.reading.plain import iso
from saga_celery.core.plan import Plan, StepKind
from saga_celery.core.states import Direction, StepState, StepStatus
from saga_celery.definition.registry import find, is_registered
from saga_celery.engine.ports import Awaited
from saga_celery.store.awaited import ASLEEP
from saga_celery.store.views import OpenWait, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One step that waits now."""

    step: str
    item: int
    kind: StepKind
    event: str
    """Type of the event that it waits for; empty: not known here, or it sleeps."""
    until: datetime | None
    """When its time is over; None: it has none."""
    skippable: bool
    asleep: bool = False
    """Its time ran out while the saga was suspended."""

    def words(self, now: datetime) -> str:
        """`waits for Approval, until … (in 1 d 23 h)`."""
        what = "sleeps" if self.kind is StepKind.SLEEP else f"waits for {self.event or 'an event'},"
        if self.asleep:
            return f"{what} until it is resumed, as its time is over"
        return f"{what} until {self.end(now)}" if self.until is not None else what.removesuffix(",")

    def end(self, now: datetime) -> str:
        """`2030-01-03T12:00:00.000Z (in 1 d 23 h)`."""
        assert self.until is not None  # noqa: S101 - asked only where there is an end
        left = (self.until - now).total_seconds()
        return f"{iso(self.until)} ({f'in {spoken(left)}' if left > 0 else 'now'})"


def waiting(found: Snapshot, plan: Plan) -> list[Waiting]:
    """The steps of a saga that wait for an event or a time, in the order of their starts."""
    alarms = {(wait.slot.step, wait.slot.item): wait for wait in found.awaited if _is_alarm(wait)}
    asleep = {place for place, wait in alarms.items() if (wait.due_at - wait.since).total_seconds() > ASLEEP}
    ends = {place: wait.due_at for place, wait in alarms.items() if place not in asleep}
    events = _event_types(found.state.name, plan)
    return [
        Waiting(
            step=step.name,
            item=step.item,
            kind=kind,
            event=events.get(step.name, ""),
            until=ends.get((step.name, step.item)),
            skippable=step.action.policy.skippable,
            asleep=(step.name, step.item) in asleep,
        )
        for step in sorted(found.state.steps.values(), key=lambda step: step.order)
        if (kind := _kind(plan, step)) in (StepKind.WAIT, StepKind.SLEEP)
    ]


def _kind(plan: Plan, step: StepState) -> StepKind | None:
    planned = plan.by_name.get(step.name)
    return planned.kind if planned is not None and step.status is StepStatus.AWAITING else None


def _is_alarm(wait: OpenWait) -> bool:
    return wait.awaited is Awaited.REST and wait.slot.direction is Direction.ACTION


def _event_types(name: str, plan: Plan) -> Mapping[str, str]:
    """What the class of today says of the waits of a plan; a plan knows their names alone."""
    if not is_registered(name):
        return {}
    definition = find(name).definition()
    todays = {step.name: definition.former.get(step.name, step.name) for step in plan.steps}
    return {
        step: str(definition.steps[today].result)
        for step, today in todays.items()
        if today in definition.steps and definition.plan.by_name[today].kind is StepKind.WAIT
    }
