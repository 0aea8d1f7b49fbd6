"""Another codebase: a plain Celery application that has never heard of sagas."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("elsewhere", broker=os.environ["SHOP_BROKER"])
app.conf.update(task_default_queue="elsewhere", broker_connection_retry_on_startup=True)


@app.task(name="elsewhere.do")
def do(what: str, key: str) -> str:
    return f"{what} done elsewhere"


@app.task(name="elsewhere.fail")
def fail(what: str, key: str) -> str:
    raise ArithmeticError("no")
