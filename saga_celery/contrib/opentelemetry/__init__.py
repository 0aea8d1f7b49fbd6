"""Traces of sagas with OpenTelemetry: `SagaInstrumentor().instrument()`, or the command `opentelemetry-instrument`."""

from saga_celery.contrib.opentelemetry.instrumentor import SagaInstrumentor

__all__ = ["SagaInstrumentor"]
