"""The Celery app as one of sagas; the environment tells which of the parts it plays."""

from __future__ import annotations

import os

from benchmarks import sagas
from benchmarks.tasks import app
from saga_celery import SagaApp

__all__ = ["app", "sagas"]  # a worker knows the sagas that it imports

app.conf.saga_database_url = os.environ["BENCH_DATABASE"]
app.conf.saga_foreign_queues = os.environ.get("BENCH_FOREIGN_QUEUES", "").split()
SagaApp(app)
