"""What sagas wait for: claimed when it is due, put off, or dropped.

Every write names what it saw, so that a row which a transition changed meanwhile is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from saga_celery.core.states import Direction, Slot
from saga_celery.engine.ports import NUDGE_SLOT, Awaited, Due, Overdue, Running, Unanswered, inbox_slot
from saga_celery.store.clock import Clock, after, db_between, now
from saga_celery.store.connections import Connections
from saga_celery.store.inbox import nudged_in_vain
from saga_celery.store.schema import saga_awaited

t = saga_awaited.c

NEVER = 50 * 365 * 86400.0
"""Seconds until a row that sleeps would be looked at, were its saga never resumed."""
ASLEEP = NEVER / 2
"""A row that is due later than in so many seconds sleeps."""

_KEY = ("saga_id", "step", "item", "direction")


class AwaitedRows:
    """The open waits of all sagas.

    Args:
        connections: the database.
        clock: whose time counts.
    """

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    # ----------------------------------------------------------------------------------------------------------- claim

    def overdue(self, limit: int, lease: float) -> list[Overdue]:
        """Claim what is due and what nobody else has at hand; on servers it never waits for a lock.

        Args:
            limit: how many rows at most.
            lease: seconds for which the rows are the caller's.
        """
        match self._connections.dialect:
            case "postgresql":
                return self._claim_at_once(limit, lease)
            case "sqlite" if not self._any_due():  # an idle sweeper shall not take the only write lock
                return []
            case _:
                return self._connections.run(lambda connection: self._claim(connection, limit, lease))

    def _claim_at_once(self, limit: int, lease: float) -> list[Overdue]:
        due = self._due(*(t[name] for name in _KEY)).limit(limit).with_for_update(skip_locked=True)
        mine = due.cte("mine").prefix_with("MATERIALIZED", dialect="postgresql")
        claim = (
            sa.update(saga_awaited)
            .where(*(t[name] == mine.c[name] for name in _KEY))
            .values(due_at=after(self._clock, lease))
            .returning(*self._columns())
        )
        with self._connections.autocommit() as connection:
            return [_overdue(row) for row in connection.execute(claim)]

    def _claim(self, connection: Connection, limit: int, lease: float) -> list[Overdue]:
        due = self._due(*self._columns()).limit(limit).with_for_update(skip_locked=True)
        rows = connection.execute(due).all()
        mine = sa.update(saga_awaited).where(*(t[name] == sa.bindparam(f"{name}_") for name in _KEY))
        if rows:
            keys = [{f"{name}_": getattr(row, name) for name in _KEY} for row in rows]
            connection.execute(mine.values(due_at=after(self._clock, lease)), keys)
        return [_overdue(row) for row in rows]

    def _any_due(self) -> bool:
        with self._connections.autocommit() as connection:
            return connection.execute(self._due(t.saga_id).limit(1)).first() is not None

    def _due(self, *columns: ColumnElement[Any]) -> sa.Select[Any]:
        time = now(self._clock) if self._clock.fixed() or self._connections.dialect != "postgresql" else sa.func.now()
        return sa.select(*columns).where(t.due_at <= time).order_by(t.due_at)

    def _columns(self) -> list[ColumnElement[Any]]:
        names = (
            *_KEY,
            "generation",
            "awaited",
            "attempt",
            "epoch",
            "worker",
            "timeout",
            "resends",
            "failures",
            "version",
        )
        return [*(t[name] for name in names), db_between(t.since, now(self._clock)).label("age")]

    # ---------------------------------------------------------------------------------------------------------- change

    def postpone(self, row: Overdue, seconds: float, *, resent: bool = False, failed: bool = False) -> None:
        """Look at a row again in `seconds`, unless it has changed since."""
        self._write(
            sa.update(saga_awaited)
            .where(*_unchanged(row))
            .values(
                due_at=after(self._clock, seconds),
                resends=t.resends + int(resent),
                failures=t.failures + int(failed),
            )
        )

    def hold(self, row: Overdue, seconds: float) -> None:
        """Look at a held row again in `seconds`, unless it has changed since, or its pause was ended meanwhile."""
        still_claimed = t.due_at > now(self._clock)
        later = {"due_at": after(self._clock, seconds)}
        self._write(sa.update(saga_awaited).where(*_unchanged(row), still_claimed).values(later))

    def release(self, row: Overdue, due: Due) -> bool:
        """Turn a held row into the wait that follows its dispatch; False when somebody else did, or it is gone."""
        released = {
            "awaited": due.awaited.value,
            "timeout": float(due.timeout),
            "since": now(self._clock),
            "due_at": after(self._clock, float(due.seconds)),
        }
        return self._write(sa.update(saga_awaited).where(*_unchanged(row)).values(released)) == 1

    def release_soon(self) -> int:
        """Make everything that is held due now, for a pause has ended; returns how much that is."""
        is_held = t.awaited == Awaited.HELD.value
        return self._write(sa.update(saga_awaited).where(is_held).values(due_at=now(self._clock)))

    def sleep(self, row: Overdue) -> None:
        """Look at a row no more until its saga is resumed: that gives all its rows another version, and wakes those
        that sleep."""
        never = {"due_at": after(self._clock, NEVER)}
        self._write(sa.update(saga_awaited).where(*_unchanged(row)).values(never))

    def extend(self, saga_id: str, slot: Slot, attempt: int, worker: str) -> bool:
        """Count an attempt's time from now; False when it is not that worker's (any more)."""
        mine = [
            *_at(saga_id, slot),
            t.generation == slot.generation,
            t.attempt == attempt,
            t.awaited.in_([Awaited.START.value, Awaited.END.value]),
            t.worker.in_(["", worker]),
        ]
        extended = {"awaited": Awaited.END.value, "worker": worker, "since": now(self._clock)}
        return self._write(sa.update(saga_awaited).where(*mine).values(extended)) == 1

    def observe(self, row: Overdue, running: Running, seconds: float) -> None:
        """Note that an attempt was seen running; look again in `seconds`. A later sign of life stands."""
        began = after(self._clock, -running.seconds)
        self._write(
            sa.update(saga_awaited)
            .where(*_unchanged(row))
            .values(
                awaited=Awaited.END.value,
                worker=running.worker,
                since=sa.case((t.since > began, t.since), else_=began),
                due_at=after(self._clock, seconds),
            )
        )

    def await_again(self, saga_id: str, slot: Slot, attempt: int, seconds: float) -> None:
        """Note that a task put itself back into the queue: it starts again within `seconds`."""
        self._write(
            sa.update(saga_awaited)
            .where(
                *_at(saga_id, slot),
                t.generation == slot.generation,
                t.attempt == attempt,
                t.awaited.in_([Awaited.START.value, Awaited.END.value]),
            )
            .values(
                awaited=Awaited.START.value,
                worker="",
                since=now(self._clock),
                due_at=after(self._clock, seconds),
            )
        )

    def forget_nudge(self, saga_id: str, version: int) -> None:
        """Drop the awaited nudge, unless a transition after `version` asked for it, and those of news that are gone."""
        self._write(sa.delete(saga_awaited).where(*_at(saga_id, NUDGE_SLOT), t.version <= version))
        for news_id in self._in_vain(saga_id):
            self._write(sa.delete(saga_awaited).where(*_at(saga_id, inbox_slot(news_id)), nudged_in_vain(saga_id)))

    def _in_vain(self, saga_id: str) -> list[str]:
        """Found before they are deleted: MariaDB's DELETE would wait for whoever is just leaving news for the saga."""

        def once() -> list[str]:
            with self._connections.autocommit() as connection:
                query = sa.select(t.step).where(t.saga_id == saga_id, nudged_in_vain(saga_id))
                return [row.step for row in connection.execute(query)]

        return self._connections.reconnected(once)

    def unanswered(self, saga_id: str) -> Unanswered:
        """Note that a coordinator without the saga's class took the awaited nudge; tell how long that has been so.

        The row's `since` becomes the first such time.
        """
        here = _at(saga_id, NUDGE_SLOT)
        first = sa.case((t.failures == 0, now(self._clock)), else_=t.since)
        # In this order: MariaDB lets the second expression see what the first one set.
        count = sa.update(saga_awaited).where(*here).ordered_values((t.since, first), (t.failures, t.failures + 1))
        self._write(count)
        found = sa.select(t.failures, db_between(t.since, now(self._clock))).where(*here)

        def once() -> Unanswered:
            with self._connections.autocommit() as connection:
                row = connection.execute(found).first()
            return Unanswered(times=row[0], seconds=float(row[1])) if row else Unanswered()

        return self._connections.reconnected(once)

    def hasten(self, saga_id: str, slots: Sequence[Slot], seconds: float) -> None:
        """Make rows due in `seconds`, where they are not due earlier."""
        soon = after(self._clock, seconds)
        for slot in slots:
            self._write(sa.update(saga_awaited).where(*_at(saga_id, slot), t.due_at > soon).values(due_at=soon))

    def _write(self, statement: sa.Update | sa.Delete) -> int:
        def once() -> int:
            with self._connections.autocommit() as connection:
                return int(connection.execute(statement).rowcount)

        return self._connections.again(lambda: self._connections.reconnected(once))


def woken(clock: Clock) -> sa.Update:
    """Wakes what sleeps of a saga, and makes every wait of it one of this version, so that no sweeper that saw the saga
    suspended still sends one to sleep. Takes `saga_id_` and `version_`."""
    sleeps = t.due_at > after(clock, ASLEEP)
    return (
        sa.update(saga_awaited)
        .where(t.saga_id == sa.bindparam("saga_id_"))
        .values(version=sa.bindparam("version_"), due_at=sa.case((sleeps, now(clock)), else_=t.due_at))
    )


def _at(saga_id: str, slot: Slot) -> list[ColumnElement[bool]]:
    return [t.saga_id == saga_id, t.step == slot.step, t.item == slot.item, t.direction == slot.direction.value]


def _unchanged(row: Overdue) -> list[ColumnElement[bool]]:
    """The row, as long as it is about the same wait: one that a later transition began is another, however alike."""
    return [
        *_at(row.saga_id, row.slot),
        t.generation == row.slot.generation,
        t.awaited == row.awaited.value,
        t.attempt == row.attempt,
        t.epoch == row.epoch,
        t.version == row.version,
    ]


def _overdue(row: Any) -> Overdue:
    return Overdue(
        saga_id=row.saga_id,
        slot=Slot(row.step, row.item, Direction(row.direction), row.generation),
        awaited=Awaited(row.awaited),
        attempt=row.attempt,
        epoch=row.epoch,
        worker=row.worker,
        timeout=row.timeout,
        resends=row.resends,
        failures=row.failures,
        age=float(row.age),
        version=row.version,
    )
