"""A Celery application whose steps run on: each run writes down how it came to run, and some die or last."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

from celery import Celery, Task, signals
from celery.canvas import Signature
from celery.exceptions import SoftTimeLimitExceeded
from pydantic import BaseModel

from saga_celery import Retry, Saga, SagaApp, step
from saga_celery.engine import coordinator, sweeper
from saga_celery.transport import keeper

FOLDER = Path(os.environ["SHOP_FOLDER"])
WHY = "a test"
QUICK = Retry(attempts=3, delay=0.05)
# What takes a quarter of a minute shall not take the test as long.
sweeper.UNLISTED, sweeper.LOOK_AGAIN, coordinator.LOOK_AGAIN = 3.0, 0.5, 0.5
keeper.TURN, keeper.SIGN = 0.1, 0.2

app = Celery("relay", broker=os.environ["SHOP_BROKER"])
app.conf.update(
    task_default_queue="relay",
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    saga_database_url=os.environ["SHOP_DATABASE"],
    saga_heartbeat_interval=0.5,
    saga_sweep_interval=0.2,
    saga_run_on=os.environ.get("RELAY_RUN_ON", "safe"),
    saga_run_on_slice=60.0,
)
SagaApp(app)


def note(what: str, **more: Any) -> None:
    """Write down what happened, in one write that no other process can split."""
    with (FOLDER / "effects").open("a") as effects:
        effects.write(json.dumps({"what": what, **more}) + "\n")


def first_time(what: str) -> bool:
    """Whether this is asked for the first time, by whichever process."""
    try:
        (FOLDER / what.replace(":", "_")).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


@signals.task_postrun.connect(weak=False)
def _over(task: Any, task_id: str, **_: Any) -> None:
    """Dies between two steps, where the first one's `dies` says so: its outcome is stored, the next one kept."""
    mark = FOLDER / f"between_{task_id}"
    if mark.exists() and first_time(f"died {mark.name}"):
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="relay.run", bind=True)
def run(self: Task, what: str, dies: str = "", key: str = "") -> str:
    headers = self.request.headers or {}
    note(what, ran_on=headers.get("saga_runs_on"), id=self.request.id, pid=os.getpid(), key=key)
    if dies == "in it" and first_time(f"died {what}"):
        os.kill(os.getpid(), signal.SIGKILL)
    if dies == "behind it":
        (FOLDER / f"between_{self.request.id}").touch()
    return what


@app.task(name="relay.fail")
def fail(what: str, key: str = "") -> None:
    note(what)
    raise ArithmeticError("no")


@app.task(name="relay.wait")
def wait(what: str, key: str = "") -> str:
    """Lasts until the test lets it go."""
    note(what)
    while not (FOLDER / "go").exists():
        threading.Event().wait(0.05)
    return what


@app.task(name="relay.limited", soft_time_limit=0.3)
def limited(what: str, key: str = "") -> str:
    try:
        threading.Event().wait(60)
    except SoftTimeLimitExceeded:
        note(f"{what} in time")
    return what


@app.task(name="relay.again", bind=True)
def again(self: Task, what: str, key: str = "") -> str:
    note(what, retries=self.request.retries, ran_on=(self.request.headers or {}).get("saga_runs_on"))
    if self.request.retries == 0:
        raise self.retry(countdown=0.05)
    return what


class Leg(BaseModel):
    """What the second of three steps does."""

    name: str
    task: str = "relay.run"
    dies: str = ""
    keyed: bool = True
    fails: bool = False
    timeout: float = 60.0


class RelaySaga(Saga[Leg]):
    name = "relay.saga"

    @step
    def first(self, leg: Leg) -> Signature[str]:
        return self.task("relay.run", f"{leg.name}:first", key=self.key())

    @first.compensate
    def undo_first(self, leg: Leg, first: str) -> Signature[None]:
        return self.task("relay.run", f"{leg.name}:undo first", key=self.key())

    @step(retry=QUICK)
    def second(self, leg: Leg) -> Signature[str]:
        more = {"dies": leg.dies} if leg.dies else {}
        if leg.keyed:
            return self.task(leg.task, f"{leg.name}:second", key=self.key(), **more)
        return self.task(leg.task, f"{leg.name}:second", **more)

    @second.compensate
    def undo_second(self, leg: Leg, second: str) -> Signature[None]:
        return self.task("relay.run", f"{leg.name}:undo second", key=self.key())

    @step(retry=Retry(attempts=1), no_compensation=WHY)
    def third(self, leg: Leg) -> Signature[str]:
        return self.task("relay.fail" if leg.fails else "relay.run", f"{leg.name}:third", key=self.key())


class AskedSaga(Saga[Leg]):
    """Steps that must not run twice, and run on all the same."""

    name = "relay.asked"
    run_on = True

    @step(no_compensation=WHY)
    def first(self, leg: Leg) -> Signature[str]:
        return self.task("relay.run", f"{leg.name}:first")

    @step(no_compensation=WHY, retry=QUICK, timeout=60)
    def second(self, leg: Leg) -> Signature[str]:
        return self.task(leg.task, f"{leg.name}:second", **({"dies": leg.dies} if leg.dies else {}))

    @step(no_compensation=WHY, run_on=False)
    def third(self, leg: Leg) -> Signature[str]:
        return self.task("relay.run", f"{leg.name}:third")


class ShortSaga(Saga[Leg]):
    """Its second step has little time."""

    name = "relay.short"

    @step(no_compensation=WHY)
    def first(self, leg: Leg) -> Signature[str]:
        return self.task("relay.run", f"{leg.name}:first", key=self.key())

    @step(no_compensation=WHY, retry=Retry(attempts=1), timeout=1.0)
    def second(self, leg: Leg) -> Signature[str]:
        return self.task("relay.wait", f"{leg.name}:second", key=self.key())
