"""The coordinator's Celery application: the only one that knows the sagas and their database.

`celery -A workers.coordinator worker` moves the sagas; `celery -A workers.coordinator saga` looks after them.
"""

from __future__ import annotations

from celery import Celery

from saga_celery import SagaApp
from workers.settings import settings

app = Celery("coordinator", broker=settings().broker_url, include=["workers.orders", "workers.travel"])
app.conf.update(
    broker_transport_options=dict(settings().broker_transport_options),
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    # The sagas name tasks, never queues: where a service lives is a matter of deployment.
    task_routes={
        f"{service}.*": {"queue": service}
        for service in ("inventory", "payments", "shipping", "notifications", "travel")
    },
    saga_database_url=settings().saga_database_url,
    saga_queue_grace=settings().queue_grace,
)
SagaApp(app)
