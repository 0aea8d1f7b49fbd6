"""Another codebase: plain Celery, nothing of sagas."""

import os

import redis
from celery import Celery, signals

app = Celery("foreign_app", broker=os.environ["SAGA_TEST_BROKER"])
app.conf.update(task_default_queue="foreign", broker_connection_retry_on_startup=True)


@signals.worker_ready.connect(weak=False)
def _ready(sender, **_):
    redis.Redis.from_url(os.environ["SAGA_TEST_BROKER"]).rpush("ready", sender.hostname)


@app.task(name="foreign.ok")
def ok(value):
    return {"foreign": value}


@app.task(name="foreign.boom")
def boom():
    raise ArithmeticError("boom")
