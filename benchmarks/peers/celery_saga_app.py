"""Five no-op steps with celery-saga, which keeps its state in Redis."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from celery import Celery

celery_saga = import_module("celery_saga")
backends = import_module("celery_saga.backends")

app = Celery("bench", broker=os.environ["BENCH_BROKER"])
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
app.set_default()
celery_saga.set_default_backend(backends.RedisSagaBackend(url=os.environ["BENCH_BROKER"]))


@app.task(name="bench.noop")
def noop(**context: Any) -> dict[str, Any]:
    """Do nothing."""
    return {}


def saga() -> Any:
    """A saga of five steps."""
    found = celery_saga.Saga("bench")
    for _ in range(5):
        found = found.add_step(noop, no_compensation=True)
    return found
