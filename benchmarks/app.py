"""The Celery app of the benchmark's workers and drivers; the environment tells which of the parts it plays."""

from __future__ import annotations

import json
import os
from pathlib import Path

from celery import Celery

from benchmarks.sagas import FINISH, NOOP
from saga_celery import SagaApp

app = Celery("bench", broker=os.environ["BENCH_BROKER"])
app.conf.update(
    broker_transport_options=json.loads(os.environ.get("BENCH_BROKER_OPTIONS", "{}")),
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
)
if os.environ.get("BENCH_SUBJECT") != "chain":
    app.conf.saga_database_url = os.environ.get("BENCH_DATABASE", "")
    SagaApp(app)


@app.task(name=NOOP)
def noop(number: int) -> int:
    """Do nothing."""
    return number


@app.task(name=FINISH)
def finish() -> None:
    """The last task of a plain chain: leave one byte in the file that its driver watches."""
    with Path(os.environ["BENCH_ENDED"]).open("ab") as ended:
        ended.write(b".")
