"""Places in traces: how they are written into headers and read from them, and how old they are.

The age is an entry of the saga's own in `tracestate`, which is what that header is for, and which goes wherever the
trace goes: a place without one is as good as new.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext

VENDOR = "saga"
"""The saga's entry in `tracestate`: seconds since 1970."""


def place_in(carrier: Mapping[str, Any]) -> Context:
    """What headers say; a context without a valid span where they say nothing."""
    texts = {name: value for name, value in carrier.items() if isinstance(value, str)}
    return propagate.extract(texts, context=Context())


def written(place: Context) -> dict[str, str]:
    """The headers that say it."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier, context=place)
    return carrier


def span_of(place: Context) -> SpanContext:
    """The span that a place is; an invalid one where it is none."""
    return trace.get_current_span(place).get_span_context()


def dated(span: SpanContext, now: float, around: Context) -> Context:
    """The place of a span, with the time written on it.

    Args:
        span: the span.
        now: seconds since 1970.
        around: where it gets its baggage from.
    """
    state = span.trace_state.update(VENDOR, str(int(now)))
    own = SpanContext(span.trace_id, span.span_id, span.is_remote, span.trace_flags, state)
    return trace.set_span_in_context(NonRecordingSpan(own), around)


def age(place: Context, now: float) -> float:
    """Seconds since the time that is written on it; 0 where there is none."""
    date = span_of(place).trace_state.get(VENDOR)
    return now - int(date) if date is not None and date.isdecimal() else 0.0
