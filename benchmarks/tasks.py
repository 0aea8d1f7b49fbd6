"""The Celery app and its tasks, without any saga code; the environment tells which of the parts it plays.

Plain chains run on it, and so do the workers that take part in sagas without knowing of them.
"""

from __future__ import annotations

import json
import os

from celery import Celery

from benchmarks.names import NOOP, REFUSE, STAMP
from benchmarks.stamps import stamp as stamped

keeps_results = "BENCH_RESULTS" in os.environ
app = Celery("bench", broker=os.environ["BENCH_BROKER"], backend=os.environ["BENCH_BROKER"] if keeps_results else None)
app.conf.update(
    broker_transport_options=json.loads(os.environ.get("BENCH_BROKER_OPTIONS", "{}")),
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_ignore_result=not keeps_results,
)
if queue := os.environ.get("BENCH_TASK_QUEUE"):
    app.conf.task_routes = dict.fromkeys((NOOP, STAMP, REFUSE), queue)


class Refused(Exception):
    """No retry can mend it."""


@app.task(name=NOOP)
def noop(number: int) -> int:
    """Do nothing."""
    return number


@app.task(name=STAMP)
def stamp(number: int) -> int:
    """Note when it began."""
    stamped()
    return number


@app.task(name=REFUSE)
def refuse(number: int) -> int:
    """Fail for good."""
    raise Refused(f"number {number}")
