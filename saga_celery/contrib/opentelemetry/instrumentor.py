"""The switch. It has the form of OpenTelemetry's own instrumentors, so `opentelemetry-instrument` finds and uses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry import trace

from saga_celery.app.chance import wall_clock
from saga_celery.contrib.opentelemetry.spans import SagaSpans
from saga_celery.transport.tracing import install_tracing

LONG_WAIT = 300.0
"""Seconds behind the place that a saga's trace hangs on, after which what it does is a new trace."""


class SagaInstrumentor:
    """Switches traces of sagas on and off in this process; children that are forked from it inherit that."""

    def instrument(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        long_wait: float = LONG_WAIT,
        clock: Callable[[], float] = wall_clock,
        **_: Any,
    ) -> None:
        """Make spans from now on.

        Args:
            tracer_provider: makes them; None: the global one.
            long_wait: seconds since a saga's start after which what a wait, a rest or a resend sets going is a trace
                of its own, linked to the first one.
            clock: seconds since 1970.
            _: what `opentelemetry-instrument` hands to all instrumentors.
        """
        tracer = trace.get_tracer("saga_celery", tracer_provider=tracer_provider)
        install_tracing(SagaSpans(tracer, long_wait=long_wait, clock=clock))

    def uninstrument(self, **_: Any) -> None:
        """Make none any more."""
        install_tracing(None)
