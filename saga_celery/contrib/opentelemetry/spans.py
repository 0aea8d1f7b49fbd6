"""The spans of sagas: one for each attempt, where it runs, and one for each turn that a saga takes, where it is
committed.

All hang side by side under the saga's anchor, for none of them lasts while the next one runs. The anchor is where the
saga was started. What goes on at once behind a message of the saga keeps that message's anchor. Where nothing of the
kind is at hand, as behind an approval, a rest, or a message that got lost, and the start is long ago, a new trace
begins, linked to the first one: a span that ended days ago is no parent of anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from celery.exceptions import TaskPredicate
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, Tracer

from saga_celery.contrib.opentelemetry.places import age, dated, place_in, span_of, written
from saga_celery.core.states import Direction
from saga_celery.engine.coordinator import Handled
from saga_celery.engine.occurrences import Occurrence, occurrences
from saga_celery.transport.tracing import ANCHOR, NO_ANCHOR, Anchor
from saga_celery.transport.wire import Delivery

_TURNS = {
    "saga_completed": "completed",
    "saga_compensating": "compensating",
    "saga_compensated": "compensated",
    "saga_failed": "failed",
    "saga_resumed": "resumed",
    "saga_overdue": "overdue",
    "saga_late_effect": "late effect",
}
"""What a saga's turns are called; its start has a span of its own, or that of whoever started it."""
_BEFORE = "before"
"""Within the anchor of a message: the place before the wait that it ended."""
_BAD = ("saga_failed", "saga_late_effect")
_TOLD = ("step", "item", "direction", "reason")


@dataclass(frozen=True, slots=True)
class _Place:
    """An anchor: a place in a trace."""

    place: Context
    before: Context | None = None
    """What was before a long wait; None: there was none."""

    @property
    def headers(self) -> Mapping[str, Any]:
        found = written(self.place)
        behind = {} if self.before is None else {_BEFORE: written(self.before)}
        return {**found, ANCHOR: {**found, **behind}}

    @contextmanager
    def active(self) -> Iterator[None]:
        token = context_api.attach(self.place)
        try:
            yield
        finally:
            context_api.detach(token)


class SagaSpans:
    """Meets `saga_celery.transport.tracing.Tracing`.

    Args:
        tracer: makes the spans.
        long_wait: seconds after which an anchor is no parent any more.
        clock: seconds since 1970.
    """

    def __init__(self, tracer: Tracer, *, long_wait: float, clock: Callable[[], float]) -> None:
        self._tracer = tracer
        self._long_wait = long_wait
        self._clock = clock

    # ----------------------------------------------------------------------------------------------------------- start

    def begin(self, saga_name: str, headers: Mapping[str, str], *, given: bool) -> Mapping[str, str]:
        """The saga hangs where its caller stands; a caller without a trace begins one."""
        told, here = place_in(headers), context_api.get_current()
        around = told if _is_place(told) and (given or not _is_place(here)) else here
        span = span_of(around) if _is_place(around) else self._started(saga_name)
        return written(dated(span, self._clock(), around)) if span.is_valid else {}

    def _started(self, saga_name: str) -> SpanContext:
        """Without the id: a saga that exists under its key already is not started a second time."""
        with self._tracer.start_as_current_span(
            f"{saga_name} start", kind=SpanKind.PRODUCER, attributes={"saga.name": saga_name}
        ) as span:
            return span.get_span_context()

    # --------------------------------------------------------------------------------------------------------- anchors

    def anchor(self, saga_id: str, saga_name: str, stored: Mapping[str, str], cause: Any) -> Anchor:
        """The cause's, else that of the start, else, when that is long ago, the root of a new trace."""
        place, links = self._place(stored, cause)
        if not links:
            return _Place(place) if _is_place(place) else NO_ANCHOR
        about = {"saga.id": saga_id, "saga.name": saga_name}
        root = self._tracer.start_span(f"{saga_name} goes on", place, attributes=about, links=links)
        root.end()
        return _Place(dated(root.get_span_context(), self._clock(), place), before=place_in(stored))

    def _place(self, stored: Mapping[str, str], cause: Any) -> tuple[Context, list[Link]]:
        """Where what happens now belongs, and what it is to be linked to where it begins a trace."""
        caused = place_in(_mapping(cause))
        if _is_place(caused):
            return caused, []
        place = place_in(stored)
        if age(place, self._clock()) <= self._long_wait:
            return place, []
        return trace.set_span_in_context(trace.INVALID_SPAN, place), [Link(span_of(place))]

    # -------------------------------------------------------------------------------------------------------- attempts

    @contextmanager
    def running(self, delivery: Delivery, attempt: int, headers: Mapping[str, Any]) -> Iterator[None]:
        """A span round the body. One of an instrumentation of Celery may be round it already, or lie in between."""
        place, links = _parent(headers)
        slot = delivery.slot
        with self._tracer.start_as_current_span(
            f"{delivery.saga_name}/{slot.step}{_WORD[slot.direction]}",
            place,
            kind=SpanKind.CONSUMER if span_of(place).is_remote else SpanKind.INTERNAL,
            attributes={
                "saga.id": delivery.saga_id,
                "saga.name": delivery.saga_name,
                "saga.step": slot.step,
                "saga.item": slot.item,
                "saga.direction": slot.direction.value,
                "saga.attempt": attempt,
            },
            links=links,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except TaskPredicate:  # Retry and the like: the task has not failed
                raise
            except Exception as error:
                _fail(span, error)
                raise

    # ----------------------------------------------------------------------------------------------------------- turns

    def moved(self, handled: Handled, cause: Any) -> None:
        """A span without length for each turn of the saga."""
        state = handled.state
        for each in occurrences(state, handled.facts):
            if each.event in _TURNS:
                self._turn(state.id, state.name, each, *self._place(state.headers, cause))

    def _turn(self, saga_id: str, saga_name: str, what: Occurrence, place: Context, links: list[Link]) -> None:
        if not (links or _is_place(place)):
            return  # it was started while nobody traced
        told = {f"saga.{name}": what.details[name] for name in _TOLD if name in what.details}
        about = {"saga.id": saga_id, "saga.name": saga_name, **told}
        span = self._tracer.start_span(f"{saga_name} {_TURNS[what.event]}", place, attributes=about, links=links)
        if what.event in _BAD:
            span.set_status(Status(StatusCode.ERROR, f"{what.details['step']}: {what.details['reason']}"))
        span.end()


_WORD = {Direction.ACTION: "", Direction.COMPENSATION: " (compensation)", Direction.PROBE: " (probe)"}


def _is_place(place: Context) -> bool:
    return span_of(place).is_valid


def _parent(headers: Mapping[str, Any]) -> tuple[Context, list[Link]]:
    """The nearest place that is in the saga's trace: the span that runs, that which sent the message, or the anchor.

    To be linked to are what was before a long wait, and what runs here in another trace, as where an instrumentation
    of Celery only links to the sender.
    """
    carried = _mapping(headers.get(ANCHOR))
    here, sent, anchor = context_api.get_current(), place_in(headers), place_in(carried)
    own = span_of(anchor if _is_place(anchor) else sent).trace_id
    place = next((each for each in (here, sent, anchor) if _is_place(each) and span_of(each).trace_id == own), here)
    others = [place_in(_mapping(carried.get(_BEFORE))), *([] if place is here else [here])]
    return place, [Link(span_of(each)) for each in others if _is_place(each)]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _fail(span: Span, error: Exception) -> None:
    span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
