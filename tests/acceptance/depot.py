"""A Celery application that reserves the lines of an order side by side, four at once, and keeps books of it.

The depot knows a reservation by its key: asked twice, it answers the same. Its books also tell how many lines were
being reserved, or released, at the same time.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from celery import Celery
from celery.canvas import Signature
from pydantic import BaseModel

from saga_celery import Retry, Saga, SagaApp, step

FOLDER = Path(os.environ["SHOP_FOLDER"])
BOOKS = FOLDER / "depot.db"
AT_ONCE = 4
QUICK = Retry(attempts=5, delay=0.05)
PATIENCE = 120.0
"""Seconds for which the first lines wait for each other."""

app = Celery("depot", broker=os.environ["SHOP_BROKER"])
app.conf.update(
    task_default_queue="depot",
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    saga_database_url=os.environ["SHOP_DATABASE"],
    saga_heartbeat_interval=0.5,
    saga_sweep_interval=0.2,
)
SagaApp(app)


class NoStock(Exception):
    """There is none of it."""


class Order(BaseModel):
    """Some of its lines are refused, or cost the worker that has them in hand its life, once."""

    name: str
    skus: list[str]
    refused: list[str] = []
    deadly: list[str] = []
    deadly_to_release: list[str] = []


# --------------------------------------------------------------------------------------------------------------- books


def open_books() -> sqlite3.Connection:
    books = sqlite3.connect(BOOKS, timeout=30, isolation_level=None)
    books.execute("CREATE TABLE IF NOT EXISTS reservation (key TEXT PRIMARY KEY, sku TEXT)")
    books.execute("CREATE TABLE IF NOT EXISTS released (key TEXT PRIMARY KEY, reservation TEXT)")
    books.execute("CREATE TABLE IF NOT EXISTS at_work (pid INTEGER, what TEXT)")
    books.execute("CREATE TABLE IF NOT EXISTS crowd (what TEXT, size INTEGER)")
    return books


@contextmanager
def at_work(what: str) -> Iterator[sqlite3.Connection]:
    """Note who is at work, and how many that makes; those who died at it do not count."""
    with closing(open_books()) as books:
        books.execute("BEGIN IMMEDIATE")
        for (pid,) in books.execute("SELECT pid FROM at_work").fetchall():
            if not _lives(pid):
                books.execute("DELETE FROM at_work WHERE pid = ?", (pid,))
        books.execute("INSERT INTO at_work VALUES (?, ?)", (os.getpid(), what))
        books.execute("INSERT INTO crowd SELECT what, count(*) FROM at_work WHERE what = ?", (what,))
        books.execute("COMMIT")
        try:
            yield books
        finally:
            books.execute("DELETE FROM at_work WHERE pid = ?", (os.getpid(),))


def _lives(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def die_once(name: str) -> None:
    with suppress(FileExistsError):
        (FOLDER / f"died-{name}").touch(exist_ok=False)
        os.kill(os.getpid(), signal.SIGKILL)


def await_the_others(books: sqlite3.Connection) -> None:
    """The first lines go on when as many are at work as may be."""
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.02)):
        ((most,),) = books.execute("SELECT coalesce(max(size), 0) FROM crowd WHERE what = 'reserve'").fetchall()
        if most >= AT_ONCE:
            return
        pause.wait(0.02)


# --------------------------------------------------------------------------------------------------------------- tasks


@app.task(name="depot.reserve")
def reserve(sku: str, key: str, refused: bool, deadly: bool) -> str:
    with at_work("reserve") as books:
        await_the_others(books)
        if refused:
            raise NoStock(sku)
        books.execute("INSERT OR IGNORE INTO reservation VALUES (?, ?)", (key, sku))
        if deadly:
            die_once(f"reserve-{sku}")
    return f"r-{sku}"


@app.task(name="depot.release")
def release(reservation: str, key: str, deadly: bool) -> None:
    with at_work("release") as books:
        books.execute("INSERT OR IGNORE INTO released VALUES (?, ?)", (key, reservation))
        if deadly:
            die_once(f"release-{reservation}")


@app.task(name="depot.pack")
def pack(reservations: list[str]) -> str:
    return " ".join(reservations)


class DepotSaga(Saga[Order, str]):
    """Every line is reserved for itself."""

    name = "depot.order"

    @step(limit=AT_ONCE, retry=QUICK, fatal=[NoStock], timeout=60)
    def reserve(self, order: Order) -> list[Signature[str]]:
        return [
            reserve.si(sku, key=self.key(sku), refused=sku in order.refused, deadly=sku in order.deadly)
            for sku in order.skus
        ]

    @reserve.compensate(retry=QUICK)
    def release(self, order: Order, reserve: str) -> Signature[None]:
        return release.si(reserve, key=self.key(), deadly=reserve.removeprefix("r-") in order.deadly_to_release)

    @step(pivot=True, idempotent=True)
    def pack(self, order: Order, reserve: list[str]) -> Signature[str]:
        return pack.si(reserve)

    def result(self, order: Order, pack: str) -> str:
        return pack
