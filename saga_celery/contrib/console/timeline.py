"""The attempts of a saga in time, read from its history: what a timeline is drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from saga_celery.app.reading import words
from saga_celery.app.reading.case import Case
from saga_celery.core import events as e
from saga_celery.core.states import Direction, Slot
from saga_celery.engine.ports import Awaited
from saga_celery.store.views import OpenWait
from saga_celery.transport.publisher import task_id

MOST_SPANS = 1000
"""The latest of them are told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time of one activity: an attempt, a rest between two, or a wait."""

    slot: Slot
    kind: str
    """`attempt`, `rest` or `wait`."""
    sent: datetime
    attempt: int = 0
    began: datetime | None = None
    """When a worker began with the attempt; None: not yet, or nobody noted it."""
    ended: datetime | None = None
    outcome: str = ""
    """Of what is over: `done`, `failed`, `unknown` or `left`."""
    worker: str = ""


@dataclass(slots=True)
class _Reader:
    """Puts spans together while it reads a history."""

    spans: list[Span] = field(default_factory=list)
    open: dict[Slot, int] = field(default_factory=dict)
    """Which span of each activity has no end yet."""

    def begin(self, span: Span) -> None:
        self.end(span.slot, span.sent, "left")
        self.open[span.slot] = len(self.spans)
        self.spans.append(span)

    def end(self, slot: Slot, at: datetime, outcome: str, ran: float | None = None) -> None:
        place = self.open.pop(slot, None)
        if place is None:
            return
        span = self.spans[place]
        began = span.began if ran is None else max(span.sent, at - timedelta(seconds=ran))
        self.spans[place] = replace(span, began=began, ended=at, outcome="left" if span.kind == "rest" else outcome)

    def change(self, slot: Slot, **more: Any) -> None:
        place = self.open.get(slot)
        if place is not None:
            self.spans[place] = replace(self.spans[place], **more)

    def read(self, at: datetime, fact: e.Fact) -> None:
        match fact:
            case e.StepDispatched() | e.CompensationDispatched() | e.ProbeDispatched():
                self.begin(Span(slot=fact.slot, kind="attempt", attempt=fact.attempt, sent=at))
            case e.AttemptClaimed():
                self._claimed(at, fact)
            case e.StepAwaiting():
                self.end(fact.slot, at, "done")  # whoever was to ask for the event did so
                self.begin(Span(slot=fact.slot, kind="wait", sent=at))
            case e.AttemptEnded():
                self.end(fact.slot, at, "unknown" if fact.lost else "failed", fact.ran)
            case e.RetryScheduled() | e.CompensationRetryScheduled():
                self.begin(Span(slot=fact.slot, kind="rest", sent=at))
            case e.StepSucceeded() | e.StepCompensated():
                self.end(fact.slot, at, "done", fact.ran)
                self.end(fact.slot._replace(direction=Direction.PROBE), at, "done")
            case e.StepFailed() | e.StepGivenUp() | e.StepSkipped() | e.StepCancelled() | e.EffectRuledOut():
                self.end(fact.slot, at, "left")
            case e.CompensationSkipped() | e.StepInDoubt() | e.CompensationInDoubt():
                self.end(fact.slot, at, "left")

    def _claimed(self, at: datetime, fact: e.AttemptClaimed) -> None:
        place = self.open.get(fact.slot)
        if place is not None and self.spans[place].attempt != fact.attempt:  # taken over from a worker that died
            self.end(fact.slot, at, "unknown")
            self.begin(Span(slot=fact.slot, kind="attempt", attempt=fact.attempt, sent=at))
        self.change(fact.slot, began=at, worker=fact.worker)


def timeline(case: Case) -> list[dict[str, Any]]:
    """Every attempt, rest and wait of a saga, the first one first.

    What a worker began with is known where it claimed its attempt, and of every attempt that told how long it ran: the
    time before that it spent in the queue.

    Args:
        case: the saga.
    """
    spans = _spans(case)[-MOST_SPANS:]
    resends = {wait.slot: wait.resends for wait in case.found.awaited}
    return [_record(case.found.saga.id, span, resends) for span in spans]


def _spans(case: Case) -> list[Span]:
    reader = _Reader()
    for entry in case.history:
        for fact in entry.facts:
            reader.read(entry.at, fact)
    for wait in case.found.awaited:
        _under_way(reader, wait)
    if case.found.state.status.ended:
        _close(reader, case.found.saga.ended_at or case.now)
    return reader.spans


def _under_way(reader: _Reader, wait: OpenWait) -> None:
    """What a report told of an attempt that nobody claimed is not in the history yet."""
    place = reader.open.get(wait.slot)
    if wait.awaited is Awaited.END and place is not None and reader.spans[place].began is None:
        reader.change(wait.slot, began=max(wait.since, reader.spans[place].sent), worker=wait.worker)


def _close(reader: _Reader, at: datetime) -> None:
    for slot in list(reader.open):
        reader.end(slot, at, "left")


def _record(saga_id: str, span: Span, resends: Mapping[Slot, int]) -> dict[str, Any]:
    again = resends.get(span.slot, 0) if span.ended is None else 0
    is_attempt = span.kind == "attempt"
    return {
        "step": words.step_label(span.slot.step, span.slot.item),
        "direction": span.slot.direction,
        "kind": span.kind,
        "attempt": span.attempt or None,
        "sent_at": span.sent,
        "began_at": span.began,
        "ended_at": span.ended,
        "outcome": span.outcome or None,
        "worker": span.worker or None,
        "task_id": task_id(saga_id, span.slot, span.attempt, again) if is_attempt else None,
    }
