"""A Celery application for these tests: one saga whose input says what its second step does, and tasks that die.

`SHOP_RELEASE` is the release that is deployed: in the first one the saga's code has a fault.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from celery import Celery, Task
from celery.canvas import Signature
from pydantic import BaseModel

from saga_celery import Retry, Saga, SagaApp, parallel, step

FOLDER = Path(os.environ["SHOP_FOLDER"])
RELEASE = int(os.environ.get("SHOP_RELEASE", "2"))
QUICK = 0.05

app = Celery("shop", broker=os.environ["SHOP_BROKER"])
app.conf.update(
    task_default_queue="shop",
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    accept_content=os.environ.get("SHOP_ACCEPT", "json").split(","),
    saga_database_url=os.environ["SHOP_DATABASE"],
    saga_foreign_queues=["elsewhere"],
    saga_heartbeat_interval=float(os.environ.get("SHOP_SWEEP_INTERVAL", "0.5")),
    saga_sweep_interval=float(os.environ.get("SHOP_SWEEP_INTERVAL", "0.2")),
    saga_queue_grace=2.0,
)
SagaApp(app)


def note(what: str, key: str = "") -> None:
    """Write down an effect, in one write that no other process can split."""
    with (FOLDER / "effects").open("a") as effects:
        effects.write(f"{what} {key}\n")


def first_time(what: str) -> bool:
    """Whether this is asked for the first time, by whichever process."""
    try:
        (FOLDER / what.replace(":", "_")).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


# ── tasks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@app.task(name="shop.do")
def do(what: str, key: str = "") -> str:
    note(what, key)
    return f"{what} done"


@app.task(name="shop.killed_once")
def killed_once(what: str, key: str = "") -> str:
    """Dies within its body the first time that it runs."""
    note(what, key)
    if first_time(f"killed-{what}"):
        os.kill(os.getpid(), signal.SIGKILL)
    return f"{what} done"


@app.task(name="shop.killed")
def killed(what: str, key: str = "") -> str:
    note(what, key)
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


@app.task(name="shop.endless")
def endless(what: str, key: str = "") -> str:
    note(what, key)
    threading.Event().wait(60)
    return "never"


@app.task(name="shop.broken")
def broken(what: str, key: str = "") -> str:
    """Fails until the file `mended` is there."""
    note(what, key)
    if not (FOLDER / "mended").exists():
        raise ArithmeticError("the till is broken")
    return f"{what} done"


@app.task(name="shop.strange")
def strange(what: str, key: str = "") -> object:
    note(what, key)
    return object()


@app.task(name="shop.replaced", bind=True)
def replaced(self: Task, what: str, key: str = "") -> str:
    note(what, key)
    return self.replace(do.si(f"{what} elsewhere"))


@app.task(name="shop.again", bind=True, max_retries=3)
def again(self: Task, what: str, key: str = "") -> str:
    note(what, key)
    if self.request.retries < 2:
        raise self.retry(countdown=QUICK)
    return f"{what} done"


@app.task(name="shop.orders_more")
def orders_more(what: str, key: str = "") -> str:
    """Starts a saga from within a task; a second copy of it would find the first one's."""
    note(what, key)
    return ErrandSaga.start(Errand(name=f"{what} further"), key=key or what).id


# ── sagas ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Errand(BaseModel):
    """What to do, and how the second step goes wrong."""

    name: str
    task: str = "shop.do"
    undo_task: str = "shop.do"
    keyed: bool = True
    queue: str = "shop"
    seconds: float | None = None
    """The hard time limit."""
    arguments: int = 1
    fails_at_last: bool = False
    poisoned: bool = False


class ErrandSaga(Saga[Errand, str]):
    name = "shop.errand"

    @step(retry=Retry(attempts=2, delay=QUICK))
    def first(self, errand: Errand) -> Signature[str]:
        return self.task("shop.do", f"{errand.name}:first", key=self.key())

    @first.compensate(retry=Retry(attempts=2, delay=QUICK))
    def undo_first(self, errand: Errand, first: str) -> Signature[None]:
        return self.task(errand.undo_task, f"{errand.name}:undo first", key=self.key())

    @step(retry=Retry(attempts=3, delay=QUICK), timeout=20)
    def second(self, errand: Errand) -> Signature[str]:
        if errand.poisoned and RELEASE == 1:
            raise LookupError("release 1 can not cope with this errand")
        options = {"queue": errand.queue, **({"time_limit": errand.seconds} if errand.seconds else {})}
        arguments = [f"{errand.name}:second"] * errand.arguments
        if errand.keyed:
            return self.task(errand.task, *arguments, key=self.key()).set(**options)
        return self.task(errand.task, *arguments).set(**options)

    @second.compensate(retry=Retry(attempts=2, delay=QUICK))
    def undo_second(self, errand: Errand, second: str) -> Signature[None]:
        return self.task("shop.do", f"{errand.name}:undo second", key=self.key()).set(queue="shop")

    @step(retry=Retry(attempts=2, delay=QUICK), no_compensation="the last one")
    def last(self, errand: Errand) -> Signature[str]:
        task = "shop.broken" if errand.fails_at_last else "shop.do"
        return self.task(task, f"{errand.name}:last", key=self.key())

    def result(self, errand: Errand, second: str, last: str) -> str:
        return f"{second}, {last}"


class PartySaga(Saga[Errand]):
    """More branches than any pool of these tests has seats."""

    name = "shop.party"

    with parallel():

        @step(no_compensation="a party")
        def cake(self, errand: Errand) -> Signature[str]:
            return self.task("shop.do", f"{errand.name}:cake", key=self.key())

        @step(no_compensation="a party")
        def band(self, errand: Errand) -> Signature[str]:
            return self.task("shop.do", f"{errand.name}:band", key=self.key())

        @step(no_compensation="a party")
        def hall(self, errand: Errand) -> Signature[str]:
            return self.task("shop.do", f"{errand.name}:hall", key=self.key())

    @step(no_compensation="a party")
    def dance(self, errand: Errand) -> Signature[str]:
        return self.task("shop.do", f"{errand.name}:dance", key=self.key())
