"""How far steps got: the attempts that they used up, and the time that they took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from saga_celery.core import events as e
from saga_celery.core.states import Activity, StepKey, StepState
from saga_celery.store.views import HistoryEntry

# ------------------------------------------------------------------------------------------------------------ attempts


def used(activity: Activity) -> int:
    """Attempts used up since an operator last gave new ones; of a parked activity, those of its last round."""
    return activity.tries or min(activity.attempt, activity.policy.retry.attempts)


def counted(activity: Activity) -> str:
    """`2/5`, or nothing when there was no attempt."""
    return f"{used(activity)}/{activity.policy.retry.attempts}" if activity.attempt else ""


def counted_all(step: StepState) -> str:
    """The attempts of a step in all directions: `2/5, undo 1/10, probe 3/10`."""
    parts = [("", step.action), ("undo ", step.compensation), ("probe ", step.probe)]
    return ", ".join(f"{what}{counted(each)}" for what, each in parts if each is not None and each.attempt)


# ---------------------------------------------------------------------------------------------------------------- time

_SETTLED = (e.StepSucceeded, e.StepFailed, e.StepGivenUp, e.StepSkipped, e.StepCancelled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When a step's action was sent first, or it began to wait, and when its outcome was known."""

    began: datetime
    settled: datetime | None = None

    def seconds(self, now: datetime) -> float:
        """How long it took, or has been taking."""
        return ((self.settled or now) - self.began).total_seconds()


def timings(history: Iterable[HistoryEntry]) -> Mapping[StepKey, Timing]:
    """The timings of the steps that have begun; of one that was run again, those of its latest generation."""
    found: dict[StepKey, Timing] = {}
    for entry in history:
        for fact in entry.facts:
            if isinstance(fact, e.StepReopened):
                found.pop((fact.slot.step, fact.slot.item), None)
            elif isinstance(fact, e.StepDispatched | e.StepAwaiting):
                found.setdefault((fact.slot.step, fact.slot.item), Timing(began=entry.at))
            elif isinstance(fact, _SETTLED) and (place := (fact.slot.step, fact.slot.item)) in found:
                found[place] = Timing(began=found[place].began, settled=entry.at)
    return found
