"""The Celery application of a service."""

from __future__ import annotations

from celery import Celery

from workers.settings import settings


def service_app(service: str) -> Celery:
    """An application that consumes the queue named like the service, and loses no task to a dying worker."""
    app = Celery(service, broker=settings().broker_url)
    app.conf.update(
        broker_transport_options=dict(settings().broker_transport_options),
        broker_connection_retry_on_startup=True,
        task_default_queue=service,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        # The handlers are idempotent, so a task may be delivered again rather than lost.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
    )
    return app
