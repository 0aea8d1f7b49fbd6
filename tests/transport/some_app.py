"""A Celery app with sagas whose runtime is a fake: what reaches the coordinator is written to Redis lists."""

import os
import signal
import time

import redis
from celery import Celery, signals
from celery.exceptions import Reject

from saga_celery import heartbeat
from saga_celery.errors import RetryAfter
from saga_celery.transport import grades
from saga_celery.transport.install import install
from tests.transport.fake_runtime import FakeRuntime

URL = os.environ["SAGA_TEST_BROKER"]
grades.SHORT_BODY = 10.0  # where the machine is busy, the shortest body may take longer than the second it usually has

app = Celery("some_app", broker=URL)
app.conf.update(
    task_default_queue="steps",
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        "visibility_timeout": 3600,
        "socket_timeout": 60,  # a report is given up after a second otherwise, where the machine is that busy
        "socket_connect_timeout": 60,
    },
    worker_hijack_root_logger=False,
    saga_participants=["careful.*"],
    saga_foreign_queues=["foreign"],
    saga_heartbeat_interval=0.2,
    saga_sweep_interval=0.1,
    saga_queue_grace=30.0,
    saga_database_url=os.environ.get("SAGA_TEST_DATABASE", ""),
    saga_fernet_keys=os.environ.get("SAGA_TEST_FERNET", "").split(),
    saga_hmac_keys={"k1": "secret"} if os.environ.get("SAGA_TEST_HMAC") else {},
)
runtime = FakeRuntime(app, URL)
install(runtime)
install(runtime)  # harmless


def notes() -> redis.Redis:
    return redis.Redis.from_url(URL, socket_timeout=None)


@signals.worker_ready.connect(weak=False)
def _ready(sender, **_):
    notes().rpush("ready", sender.hostname)


@app.task(name="ok")
def ok(value):
    return {"value": value}


@app.task(name="boom")
def boom():
    raise ArithmeticError("boom")


class Busy(Exception):
    retry_after = 7


@app.task(name="busy")
def busy():
    raise Busy("later")


@app.task(name="overloaded")
def overloaded(counts):
    raise RetryAfter(7, "come back later", counts=counts)


@app.task(name="strange")
def strange():
    return object()


@app.task(name="big")
def big():
    return "x" * 2_000_000


@app.task(name="again", bind=True)
def again(self):
    if self.request.retries == 0:
        raise self.retry(countdown=0.1)
    return self.request.retries


@app.task(name="auto", autoretry_for=(OSError,), retry_backoff=False, default_retry_delay=0, max_retries=1)
def auto():
    raise OSError("always")


@app.task(name="replaced", bind=True)
def replaced(self):
    return self.replace(ok.si(1))


@app.task(name="rejected")
def rejected():
    raise Reject("no", requeue=False)


@app.task(name="inline", bind=True)
def inline(self, depth):
    return [depth, self.run(depth - 1)] if depth else ok.run("inner")


@app.task(name="killed")
def killed():
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="careful.killed")
def careful_killed(key):
    notes().rpush(f"runs:{key}", 1)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="careful.killed_once")
def careful_killed_once(key):
    if notes().incr(f"count:{key}") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return "second"


@app.task(name="held")
def held(key):
    notes().rpush(f"runs:{key}", os.getpid())
    notes().blpop(f"release:{key}", timeout=300)
    return "released"


@app.task(name="beats")
def beats(key):
    """Gives signs until one is refused, or it is released."""
    while notes().blpop(f"release:{key}", timeout=0.1) is None:
        if not heartbeat():
            raise InterruptedError("not wanted any more")
    return "released"


@app.task(name="leaves")
def leaves():
    raise SystemExit(3)


@app.task(name="spins")
def spins():
    end = time.monotonic() + 300
    while time.monotonic() < end:
        pass
