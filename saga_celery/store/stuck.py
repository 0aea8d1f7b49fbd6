"""Sagas that do not move: found among the open waits, and kept in mind once they were told of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from saga_celery.core.states import Direction, SagaStatus, Slot
from saga_celery.engine.ports import Awaited, Delivery, Stuck, Trouble
from saga_celery.store.clock import Clock, after, db_between, now
from saga_celery.store.connections import Connections
from saga_celery.store.deliveries import insert_deliveries
from saga_celery.store.queries import IN_VAIN, MOST_IDS
from saga_celery.store.schema import saga, saga_awaited, saga_stuck

t = saga_awaited.c

_REPEATED = {Awaited.START.value: Trouble.NOT_BEGUN, Awaited.NUDGE.value: Trouble.UNANSWERED}
"""The waits whose message is repeated. What runs by now, or is kept back, has been repeated for nothing no more."""


class _ToldAlready(Exception):
    """Some other sweeper was faster."""


class StuckRows:
    """Who is stuck, and who was told of.

    Args:
        connections: the database.
        clock: whose time counts.
    """

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    def overdue(self, seconds: float, limit: int) -> list[str]:
        """Sagas with a wait that has been overdue for longer than `seconds`, the longest first."""
        query = sa.select(t.saga_id).where(t.due_at < self._ago(seconds)).order_by(t.due_at).limit(limit)
        return list(dict.fromkeys(row.saga_id for row in self._all(query)))

    def repeated(self, limit: int) -> list[str]:
        """Sagas with a wait that was repeated, or failed at, too often; reads all that is open, so ask seldom."""
        query = self._stuck(t.saga_id, overdue=None).order_by(t.due_at).limit(limit)
        return list(dict.fromkeys(row.saga_id for row in self._all(query)))

    def still(self, saga_ids: Sequence[str], *, overdue: float | None) -> list[Stuck]:
        """Those of the sagas that do not move and were not told of yet, each with its most urgent wait.

        Args:
            saga_ids: who may be stuck.
            overdue: seconds for which a wait may be overdue; None: as long as it likes.
        """
        late = db_between(t.due_at, now(self._clock)).label("late")
        columns = (t.saga_id, t.step, t.item, t.direction, t.generation, t.awaited, t.attempt, t.resends, t.failures)
        untold = t.saga_id.not_in(sa.select(saga_stuck.c.saga_id))
        found: dict[str, Stuck] = {}
        for some in _parts(saga_ids):
            query = self._stuck(*columns, late, overdue=overdue).where(t.saga_id.in_(some), untold)
            for row in self._all(query.order_by(t.due_at)):
                found.setdefault(row.saga_id, _stuck(row))
        return list(found.values())

    def record(self, stuck: Stuck, deliveries: Sequence[Delivery]) -> bool:
        """Note that a saga is told of, together with what hooks are told; False when somebody else did already."""
        row = {
            "saga_id": stuck.saga_id,
            "step": stuck.slot.step,
            "item": stuck.slot.item,
            "direction": stuck.slot.direction.value,
            "attempt": stuck.attempt,
            "reason": stuck.trouble.value,
        }

        def work(connection: Connection) -> None:
            """A plain INSERT, as MariaDB does not tell whether one that may do nothing did something."""
            try:
                connection.execute(sa.insert(saga_stuck).values(**row, since=now(self._clock)))
            except sa.exc.IntegrityError as known:
                raise _ToldAlready from known
            insert_deliveries(connection, deliveries, self._clock)

        try:
            self._connections.run(work)
        except _ToldAlready:
            return False
        return True

    def forget(self, *, overdue: float) -> int:
        """Forget those that moved, were parked or suspended since; returns how many."""
        told = {row.saga_id for row in self._all(sa.select(saga_stuck.c.saga_id))}
        if not told:
            return 0
        for some in _parts(sorted(told)):
            query = self._stuck(t.saga_id, overdue=overdue).where(t.saga_id.in_(some)).distinct()
            told -= {row.saga_id for row in self._all(query)}
        return sum(self._write(sa.delete(saga_stuck).where(saga_stuck.c.saga_id.in_(some))) for some in _parts(told))

    # ---------------------------------------------------------------------------------------------------------- inside

    def _stuck(self, *columns: ColumnElement[Any], overdue: float | None) -> sa.Select[Any]:
        in_vain = sa.or_(
            t.failures >= IN_VAIN,
            sa.and_(t.resends >= IN_VAIN, t.awaited.in_(_REPEATED)),
            *([t.due_at < self._ago(overdue)] if overdue is not None else []),
        )
        moves_by_itself = sa.and_(saga.c.state != SagaStatus.FAILED.value, saga.c.suspended.is_(False))
        return sa.select(*columns).join(saga, saga.c.id == t.saga_id).where(in_vain, moves_by_itself)

    def _ago(self, seconds: float) -> ColumnElement[Any]:
        steady = self._connections.dialect == "postgresql" and not self._clock.fixed()
        if steady:  # an index is of no use to a time that may change within the statement
            return sa.func.now() - sa.literal(timedelta(seconds=seconds), sa.Interval())
        return after(self._clock, -seconds)

    def _all(self, query: sa.Select[Any]) -> Sequence[Any]:
        def once() -> Sequence[Any]:
            with self._connections.autocommit() as connection:
                return connection.execute(query).all()

        return self._connections.reconnected(once)

    def _write(self, statement: sa.Delete) -> int:
        def once() -> int:
            with self._connections.autocommit() as connection:
                return connection.execute(statement).rowcount

        return self._connections.again(lambda: self._connections.reconnected(once))


def _parts(saga_ids: Iterable[str]) -> Iterable[list[str]]:
    ids = list(saga_ids)
    return [ids[first : first + MOST_IDS] for first in range(0, len(ids), MOST_IDS)]


def _stuck(row: Any) -> Stuck:
    if row.failures >= IN_VAIN:
        trouble, times = Trouble.FAILING, row.failures
    elif row.resends >= IN_VAIN and row.awaited in _REPEATED:
        trouble, times = _REPEATED[row.awaited], row.resends
    else:
        trouble, times = Trouble.OVERDUE, 0
    return Stuck(
        saga_id=row.saga_id,
        slot=Slot(row.step, row.item, Direction(row.direction), row.generation),
        attempt=row.attempt,
        trouble=trouble,
        times=times,
        seconds=max(float(row.late), 0.0),
    )
