"""Which attempts of steps ended, and how: read off the facts of a saga."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from saga_celery.core import events as e
from saga_celery.core.attempts import NEVER
from saga_celery.core.states import Direction, Slot

SUCCEEDED, FAILED, LOST = "succeeded", "failed", "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptOutcome:
    """An attempt that ended."""

    step: str
    direction: str
    outcome: str
    seconds: float | None
    """From sending it until its answer; None: there was none, or it was sent before anybody counted."""


class Attempts:
    """The attempts of one saga that are out."""

    __slots__ = ("_sent",)

    def __init__(self) -> None:
        self._sent: dict[Slot, tuple[int, datetime]] = {}

    def after(self, fact: e.Fact, at: datetime) -> Iterator[AttemptOutcome]:
        """What ended with a fact.

        Args:
            fact: one of `KINDS`, or any other.
            at: when it was recorded.
        """
        match fact:
            case e.StepDispatched() | e.CompensationDispatched() | e.ProbeDispatched():
                self._sent[fact.slot] = (fact.attempt, at)
            case e.AttemptClaimed(slot=slot, attempt=attempt):
                yield from self._taken_over(slot, attempt, at)
            case e.AttemptEnded(slot=slot, lost=True):
                yield self._ended(slot, LOST, None)
            case e.AttemptEnded(slot=slot, failure=failure):
                yield self._ended(slot, SUCCEEDED if _is_answer(slot, failure) else FAILED, at)
            case e.StepSucceeded(slot=slot, by="probe") | e.EffectRuledOut(slot=slot):
                self._sent.pop(slot, None)
                yield self._ended(slot._replace(direction=Direction.PROBE), SUCCEEDED, at)
            case (
                e.StepSucceeded(slot=slot, attempt=attempt, by=by)
                | e.StepCompensated(slot=slot, attempt=attempt, by=by)
            ) if by == e.WORKER and attempt:
                yield self._ended(slot, SUCCEEDED, at)
            case e.StepAwaiting(slot=slot) if slot in self._sent:  # whoever is to answer was asked
                yield self._ended(slot, SUCCEEDED, at)
            case _:
                pass

    def _taken_over(self, slot: Slot, attempt: int, at: datetime) -> Iterator[AttemptOutcome]:
        """A worker took a new attempt in place of one whose worker died."""
        before, _ = self._sent.get(slot, (attempt, at))
        if attempt > before:
            yield self._ended(slot, LOST, None)
            self._sent[slot] = (attempt, at)

    def _ended(self, slot: Slot, outcome: str, at: datetime | None) -> AttemptOutcome:
        _, sent = self._sent.pop(slot, (0, None))
        seconds = (at - sent).total_seconds() if at is not None and sent is not None else None
        return AttemptOutcome(step=slot.step, direction=slot.direction.value, outcome=outcome, seconds=seconds)


def _is_answer(slot: Slot, failure: Any) -> bool:
    """A probe that finds no effect has done its work, though it is asked once more."""
    return slot.direction is Direction.PROBE and failure.type == NEVER.type


KINDS = (
    e.StepDispatched,
    e.CompensationDispatched,
    e.ProbeDispatched,
    e.AttemptClaimed,
    e.AttemptEnded,
    e.StepSucceeded,
    e.EffectRuledOut,
    e.StepCompensated,
    e.StepAwaiting,
)
"""Facts that tell of attempts."""
