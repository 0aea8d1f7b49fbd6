"""Five no-op steps with celery-saga, which keeps its state in Redis."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from celery import Celery

from benchmarks.names import NOOP, STAMP, STEPS
from benchmarks.stamps import stamp as stamped

celery_saga = import_module("celery_saga")
backends = import_module("celery_saga.backends")

app = Celery("bench", broker=os.environ["BENCH_BROKER"])
app.conf.update(task_acks_late=True, task_ignore_result=True, broker_connection_retry_on_startup=True)
app.set_default()
celery_saga.set_default_backend(backends.RedisSagaBackend(url=os.environ["BENCH_BROKER"]))


@app.task(name=NOOP)
def noop(**context: Any) -> dict[str, Any]:
    """Do nothing."""
    return {}


@app.task(name=STAMP)
def stamp(**context: Any) -> dict[str, Any]:
    """Note when it began."""
    stamped()
    return {}


def saga(work: str) -> Any:
    """A saga of five steps."""
    found = celery_saga.Saga(f"bench.{work}")
    for _ in range(STEPS):
        found = found.add_step(stamp if work == "stamps" else noop, no_compensation=True)
    return found
