"""A store of very many sagas on PostgreSQL, quickly: a few that ran, and copies of their rows by plain SQL.

Most have ended. Ids, times, keys and tags differ as in life; every text that names a saga's id names that of the copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from celery.canvas import Signature

from saga_celery import Retry, Saga, SagaApp, step
from saga_celery.core import events as e
from saga_celery.core.states import Direction, Failure, Slot
from saga_celery.store.columns import UtcTime
from saga_celery.store.schema import (
    saga,
    saga_awaited,
    saga_dead_letter,
    saga_history,
    saga_key,
    saga_step,
    saga_tag,
)

NAMES = (
    "shop.order",
    "shop.audit",
    "shop.refund",
    "shop.parcel",
    "shop.invoice",
    "shop.gift",
    "shop.return",
    "shop.loyalty",
    "shop.subscription",
    "shop.rare",
)
"""Two of five sagas are of the first; the second is never compensated; of the last there are fifty."""
DAYS = 90
"""The starts are spread over these."""
COUNTRIES = 20
CUSTOMERS = 100_000
CHUNK = 50_000
"""Sagas of one INSERT."""
COPIED = (saga, saga_step, saga_history, saga_awaited, saga_dead_letter, saga_key, saga_tag)

# What becomes of the saga of a number. Three hundred have failed and two hundred are overdue, from all of the time;
# one of four from the last fifth is open; one of eleven was compensated, and the rest is complete.
_KIND = """
CASE WHEN i % {failed} = 0 THEN 'failed'
     WHEN i % {overdue} = 1 THEN 'overdue'
     WHEN i > {recent} AND i % 2000 = 2 THEN 'suspended'
     WHEN i > {recent} AND i % 40 = 6 THEN 'pending'
     WHEN i > {recent} AND i % 40 = 10 THEN 'undoing'
     WHEN i > {recent} AND i % 4 = 2 THEN 'running'
     WHEN i % 11 = 3 THEN 'undone'
     ELSE 'done' END
"""
_NAME = """
CASE WHEN i % {rare} = 7 THEN 10 WHEN i * 37 % 101 < 40 THEN 1 WHEN i * 37 % 101 < 60 THEN 2
     ELSE 3 + i * 37 % 101 % 7 END
"""
_NUMBERED = """
CREATE TEMPORARY TABLE numbered AS
SELECT n.i, t.kind, t.id AS old_id, aged.age,
       concat_ws('-', left(aged.time, 8), right(aged.time, 4), '7' || left(md5(n.i::text), 3),
                 '8' || substr(md5(n.i::text), 4, 3), substr(md5(n.i::text), 7, 12)) AS new_id
FROM (SELECT i, {name} AS name, {kind} AS kind FROM generate_series({first}, {last}) AS s (i)) AS n
JOIN template AS t ON t.name = n.name
    AND t.kind = CASE WHEN n.name IN (2, 10) AND n.kind = 'undone' THEN 'done' ELSE n.kind END
CROSS JOIN LATERAL (SELECT make_interval(secs => ({most} - n.i) * {apart}) AS age) AS made
CROSS JOIN LATERAL (
    SELECT made.age, lpad(to_hex((extract(epoch FROM now() - made.age) * 1000)::bigint), 12, '0') AS time
) AS aged
"""


def order_saga(saga_name: str) -> type[Saga[int, str]]:
    """A saga of five steps; behind its pivot it can only fail for good."""

    class OrderSaga(Saga[int, str]):
        name = saga_name

        @step(retry=Retry(attempts=3, delay=3600, jitter=False))
        def reserve(self, order: int) -> Signature[str]:
            return self.task("stock.reserve", order, key=self.key())

        @reserve.compensate
        def release(self, order: int, reserve: str) -> Signature[None]:
            return self.task("stock.release", reserve, key=self.key())

        @step(retry=Retry(attempts=3, delay=3600, jitter=False))
        def charge(self, order: int) -> Signature[str]:
            return self.task("card.charge", order, key=self.key())

        @charge.compensate
        def refund(self, order: int, charge: str) -> Signature[None]:
            return self.task("card.refund", charge, key=self.key())

        @step(pivot=True, idempotent=True, retry=Retry(attempts=1))
        def ship(self, order: int, reserve: str) -> Signature[str]:
            return self.task("parcel.ship", reserve)

        @step(idempotent=True, retry=Retry(attempts=1), no_compensation="behind the pivot")
        def label(self, order: int, ship: str) -> Signature[str]:
            return self.task("parcel.label", ship)

        @step(idempotent=True, no_compensation="behind the pivot")
        def tell(self, order: int) -> Signature[str]:
            return self.task("mail.tell", order)

        def result(self, order: int, tell: str) -> str:
            return tell

    return OrderSaga


def fill(sagas: SagaApp, count: int, told: Callable[[int], object] = lambda done: None) -> None:
    """Store sagas, and let the database count them.

    Args:
        sagas: an app with an empty store on PostgreSQL.
        count: how many, at least 2,000.
        told: hears how many there are.
    """
    templates = _templates(sagas)
    with sagas.store.connections.engine.connect() as connection:
        connection.exec_driver_sql("SET synchronous_commit = off")
        connection.exec_driver_sql("CREATE TEMPORARY TABLE template (name int, kind text, id text)")
        connection.execute(sa.text("INSERT INTO template VALUES (:name, :kind, :id)"), templates)
        for first in range(1, count + 1, CHUNK):
            last = min(first + CHUNK - 1, count)
            connection.exec_driver_sql(_numbered(first, last, count).replace("%", "%%"))
            for table in COPIED:
                connection.exec_driver_sql(_copied(table))
            connection.exec_driver_sql("DROP TABLE numbered")
            told(last)
        for table in COPIED:
            key = "id" if table is saga else "saga_id"
            connection.execute(sa.delete(table).where(table.c[key].in_(sa.text("SELECT id FROM template"))))
        connection.exec_driver_sql("DROP TABLE template")
        connection.exec_driver_sql("VACUUM ANALYZE")


def _numbered(first: int, last: int, count: int) -> str:
    shares = {"failed": max(count // 300, 1), "overdue": max(count // 200, 2), "rare": max(count // 50, 8)}
    apart = DAYS * 86_400 / count
    name, kind = _NAME.format(**shares), _KIND.format(recent=count * 4 // 5, **shares)
    return _NUMBERED.format(first=first, last=last, most=count, apart=apart, name=name, kind=kind)


def _copied(table: sa.Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    values = ", ".join(_value(column) for column in table.columns)
    key = "id" if table is saga else "saga_id"
    source = f"numbered AS n JOIN {table.name} AS t ON t.{key} = n.old_id"
    return f"INSERT INTO {table.name} ({names}) SELECT {values} FROM {source}"  # noqa: S608 - our own tables


def _value(column: sa.Column[Any]) -> str:
    table = column.table
    if column.name in ("id", "saga_id"):
        return "n.new_id"
    if column.name == "key":
        return "'order-' || n.i"
    if column is saga_tag.c.value:
        return f"CASE t.name WHEN 'customer' THEN n.i %% {CUSTOMERS} ELSE n.i %% {COUNTRIES} END"
    if column is saga_awaited.c.due_at:
        return "now() + CASE n.kind WHEN 'overdue' THEN interval '-1 hour' ELSE interval '1 day' END"
    if isinstance(column.type, UtcTime):
        return f't."{column.name}" - n.age'
    if isinstance(column.type, sa.Text) and table is not saga_dead_letter:
        return f'replace(t."{column.name}", n.old_id, n.new_id)'
    return f't."{column.name}"'


# ----------------------------------------------------------------------------------------------------------- templates


def _templates(sagas: SagaApp) -> list[dict[str, Any]]:
    """One saga of each name and fate, moved by hand: number of the name, fate, id."""
    found = []
    for number, name in enumerate(NAMES, 1):
        kind_of_saga = order_saga(name)
        for kind, news in FATES.items():
            tags = {"customer": "0", "country": "0"}
            saga_id = kind_of_saga.start(number, key=f"template-{kind}", tags=tags).id
            for each in news:
                sagas.coordinator(parks_render_failures=True).handle(saga_id, each)
            found.append({"name": number, "kind": kind, "id": saga_id})
    return found


def _done(*steps: str) -> list[e.News]:
    return [e.AttemptSucceeded(slot=Slot(name), attempt=1, result=f"{name}-1") for name in steps]


def _failed(name: str) -> e.News:
    failure = Failure(type="parcel.Broken", message="the printer is out of paper", traceback="", step=name)
    return e.AttemptFailed(slot=Slot(name), attempt=1, failure=failure)


def _undone(*steps: str) -> list[e.News]:
    return [e.AttemptSucceeded(slot=Slot(name, 0, Direction.COMPENSATION), attempt=1) for name in steps]


_SUSPENDED = e.OperatorAsked(verb=e.Verb.SUSPEND, reason="is it right?", actor="ann")
FATES: dict[str, Sequence[e.News]] = {
    "done": [e.Nudged(), *_done("reserve", "charge", "ship", "label", "tell")],
    "undone": [e.Nudged(), *_done("reserve", "charge"), _failed("ship"), *_undone("charge", "reserve")],
    "undoing": [e.Nudged(), *_done("reserve", "charge"), _failed("ship")],
    "failed": [e.Nudged(), *_done("reserve", "charge", "ship"), _failed("label")],
    "running": [e.Nudged(), *_done("reserve", "charge")],
    "overdue": [e.Nudged(), *_done("reserve")],
    "suspended": [e.Nudged(), *_done("reserve"), _SUSPENDED],
    "pending": [],
}
