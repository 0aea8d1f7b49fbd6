"""Deliveries to hooks: stored with their transition, claimed when they are due, deleted when they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from saga_celery.engine.ports import Delivery
from saga_celery.store.clock import Clock, after, db_between, db_now, now
from saga_celery.store.codec import dumps, loads
from saga_celery.store.connections import Connections
from saga_celery.store.schema import saga, saga_delivery, saga_tag
from saga_celery.store.upsert import insert_if_absent

t = saga_delivery.c

Row = dict[str, Any]


def delivery_row(delivery: Delivery) -> Row:
    """The row of a delivery, but for its times; `seconds` stands for the one when it is due."""
    return {
        "id": delivery.id,
        "saga_id": delivery.saga_id,
        "event": delivery.event,
        "task": delivery.task,
        "payload": dumps(dict(delivery.payload)),
        "headers": dumps(dict(delivery.headers)),
        "tries": delivery.tries,
        "seconds": float(delivery.seconds),
    }


def delivery_times(clock: Clock) -> Row:
    """The columns that are not in `delivery_row`; its `seconds` become a time."""
    return {"since": now(clock), "due_at": after(clock, sa.bindparam("seconds", type_=sa.Double()))}


def insert_deliveries(connection: Connection, deliveries: Sequence[Delivery], clock: Clock) -> None:
    """Insert deliveries within a transaction; those that are there already stay as they are."""
    if deliveries:
        new = insert_if_absent(connection.dialect.name.replace("mariadb", "mysql"), saga_delivery)
        connection.execute(new.values(delivery_times(clock)), [delivery_row(each) for each in deliveries])


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What of a saga never changes, and the time."""

    key: str | None
    tags: Mapping[str, str]
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDelivery:
    """A delivery in a list."""

    delivery: Delivery
    since: datetime
    due_at: datetime | None
    """None: it was given up."""


class DeliveryRows:
    """The open deliveries of all sagas.

    Args:
        connections: the database.
        clock: whose time counts.
    """

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    def labels(self, saga_id: str) -> Labels:
        """What a payload tells of a saga besides its state."""
        query = sa.select(saga.c.key, db_now().label("now"), saga_tag.c.name, saga_tag.c.value)
        query = query.outerjoin(saga_tag, saga_tag.c.saga_id == saga.c.id).where(saga.c.id == saga_id)
        with self._connections.autocommit() as connection:
            rows = connection.execute(query.order_by(saga_tag.c.name)).all()
        moment = self._clock.fixed() or rows[0].now
        return Labels(key=rows[0].key, now=moment, tags={row.name: row.value for row in rows if row.name})

    # ----------------------------------------------------------------------------------------------------------- claim

    def due(self, limit: int, lease: float) -> Sequence[Delivery]:
        """Claim what is due, each moved `lease` seconds on; on servers it never waits for a lock."""
        return self._connections.run(lambda own: self._claim(own, limit, lease)) if self._any_due() else []

    def _any_due(self) -> bool:
        """Most of the time there is nothing, and that shall cost one small read."""
        with self._connections.autocommit() as connection:
            return connection.execute(self._due(t.id).limit(1)).first() is not None

    def _claim(self, connection: Connection, limit: int, lease: float) -> list[Delivery]:
        rows = connection.execute(self._due(*self._columns()).limit(limit).with_for_update(skip_locked=True)).all()
        if rows:
            mine = sa.update(saga_delivery).where(t.id.in_([row.id for row in rows]))
            connection.execute(mine.values(due_at=after(self._clock, lease)))
        return [_delivery(row) for row in rows]

    def _due(self, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        steady = self._connections.dialect == "postgresql" and not self._clock.fixed()
        time = sa.func.now() if steady else now(self._clock)  # an index is of no use to a time that may change
        return sa.select(*columns).where(t.due_at <= time).order_by(t.due_at)

    def _columns(self) -> list[sa.ColumnElement[Any]]:
        return [
            *(t[name] for name in ("id", "saga_id", "event", "task", "payload", "headers", "tries", "since", "due_at")),
            db_between(t.since, now(self._clock)).label("age"),
        ]

    # ---------------------------------------------------------------------------------------------------------- change

    def postpone(self, delivery: Delivery, seconds: float, *, sent: bool) -> None:
        """Come back to it later, unless somebody else has sent it since; `sent` counts one more try."""
        self._write(
            sa.update(saga_delivery)
            .where(t.id == delivery.id, t.tries == delivery.tries, t.due_at.is_not(None))
            .values(due_at=after(self._clock, seconds), tries=t.tries + int(sent))
        )

    def give_up(self, delivery: Delivery) -> None:
        """Keep it for a person to see; nobody sends it any more."""
        self._write(sa.update(saga_delivery).where(t.id == delivery.id).values(due_at=None))

    def hasten(self, ids: Sequence[str], seconds: float) -> None:
        """Make them due in `seconds`, where they are not due earlier."""
        soon = after(self._clock, seconds)
        self._write(sa.update(saga_delivery).where(t.id.in_(ids), t.due_at > soon).values(due_at=soon))

    def settle(self, ids: Sequence[str]) -> int:
        """Forget deliveries; returns how many there were."""
        return self._write(sa.delete(saga_delivery).where(t.id.in_(ids)))

    def send_again(self, ids: Sequence[str]) -> int:
        """Let the sweeper begin anew with them, as if they had never been sent; returns how many there were."""
        again = sa.update(saga_delivery).where(t.id.in_(ids))
        return self._write(again.values(due_at=now(self._clock), since=now(self._clock), tries=0))

    def known(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that are still open."""
        with self._connections.autocommit() as connection:
            return {row.id for row in connection.execute(sa.select(t.id).where(t.id.in_(ids)))}

    def replace(self, delivery: Delivery, by: Sequence[Delivery]) -> None:
        """Store others in its place; those that are there already stay as they are."""

        def work(connection: Connection) -> None:
            insert_deliveries(connection, by, self._clock)
            connection.execute(sa.delete(saga_delivery).where(t.id == delivery.id))

        self._connections.run(work)

    def add(self, deliveries: Sequence[Delivery]) -> None:
        """Store what belongs to no transition."""
        self._connections.run(lambda connection: insert_deliveries(connection, deliveries, self._clock))

    def _write(self, statement: sa.Update | sa.Delete) -> int:
        def once() -> int:
            with self._connections.autocommit() as connection:
                return connection.execute(statement).rowcount

        return self._connections.again(lambda: self._connections.reconnected(once))

    # ------------------------------------------------------------------------------------------------------------ list

    def open(self, *, limit: int = 50, given_up: bool | None = None, saga_id: str | None = None) -> list[OpenDelivery]:
        """Deliveries that are not known to have run to their end, the oldest first.

        Args:
            limit: how many at most.
            given_up: only those that nobody sends any more, or only the others.
            saga_id: of this saga only.
        """
        query = sa.select(*self._columns()).order_by(t.since, t.id).limit(limit)
        if given_up is not None:
            query = query.where(t.due_at.is_(None) if given_up else t.due_at.is_not(None))
        if saga_id is not None:
            query = query.where(t.saga_id == saga_id)
        with self._connections.autocommit() as connection:
            rows = connection.execute(query).all()
        return [OpenDelivery(delivery=_delivery(row), since=row.since, due_at=row.due_at) for row in rows]


def _delivery(row: Any) -> Delivery:
    return Delivery(
        id=row.id,
        saga_id=row.saga_id,
        event=row.event,
        task=row.task,
        payload=loads(row.payload),
        headers=loads(row.headers),
        tries=row.tries,
        age=float(row.age),
    )
