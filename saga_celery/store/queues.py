"""Who waits for what, and who holds it: what people ask about gates. Nothing here lets anybody in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from saga_celery.core.states import SagaStatus
from saga_celery.engine.admission import Standing, WaitsFor
from saga_celery.store.clock import Clock, now
from saga_celery.store.connections import Connections
from saga_celery.store.gates import UNDER_WAY
from saga_celery.store.rows import DONE
from saga_celery.store.schema import saga, saga_ticket
from saga_celery.store.tickets import precedes, turn

_DONE = tuple(status.value for status in DONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A saga that has a lock."""

    saga_id: str
    name: str
    status: SagaStatus
    since: datetime
    """When it was let in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockQueue:
    """A lock, who has it, and who waits for it."""

    lock: str
    holders: tuple[Holder, ...]
    """More than one where children share it; none for the moment between two."""
    waiters: tuple[str, ...]
    """Ids, in the order in which they are let in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitQueue:
    """The sagas of a name with a limit."""

    name: str
    limit: int
    running: int
    waiting: int
    """Those whose time has come, also where they wait for a lock first."""


class Queues:
    """Reads, and only reads.

    Args:
        connections: the database.
        clock: whose time counts.
    """

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    def locks(self) -> list[LockQueue]:
        """Every lock that is held or waited for, by name."""
        t = saga_ticket.c
        wanted = [t.lock.is_not(None), *_in_or_waiting(self._clock)]
        query = _tickets(t.saga_id, t.name, t.lock, t.admitted_at, saga.c.state).where(*wanted)
        rows = self._all(query.order_by(t.lock, *turn()))
        return [_lock_queue(lock, found) for lock, found in groupby(rows, key=lambda row: str(row.lock))]

    def limits(self) -> list[LimitQueue]:
        """Every name with a limit of which any saga is open."""
        t = saga_ticket.c
        runs = sa.and_(t.admitted_at.is_not(None), saga.c.state.in_(UNDER_WAY))
        counts = [_count(runs).label("running"), _count(t.admitted_at.is_(None)).label("waiting")]
        limited = sa.and_(t.max_running.is_not(None), *_in_or_waiting(self._clock))
        counted = _tickets(t.name, *counts).where(limited).group_by(t.name).order_by(t.name).subquery()
        latest = _limit_of(counted.c.name)
        query = sa.select(counted.c.name, latest.label("limit"), counted.c.running, counted.c.waiting)
        return [
            LimitQueue(name=name, limit=limit, running=int(running), waiting=int(waiting))
            for name, limit, running, waiting in self._all(query.order_by(counted.c.name))
        ]

    def standings(self, saga_ids: Collection[str]) -> dict[str, Standing]:
        """Where those of some sagas stand that have not been let in.

        Args:
            saga_ids: a page of them; others are left out.
        """
        if not saga_ids:
            return {}
        t = saga_ticket.c
        its_time_has_come = t.since <= now(self._clock)
        mine = [t.saga_id.in_(list(saga_ids)), t.admitted_at.is_(None), saga.c.state == SagaStatus.PENDING.value]
        due = its_time_has_come.label("due")
        query = _tickets(t.saga_id, t.name, t.lock, t.max_running, t.priority, t.since, t.place, due).where(*mine)
        return {row.saga_id: self._standing(row) for row in self._all(query)}

    def _standing(self, row: Any) -> Standing:
        if not row.due:
            return Standing(waits_for=WaitsFor.TIME, starts_at=row.since, lock=row.lock)
        t = saga_ticket.c
        if row.lock is not None and (found := self._behind_lock(row, t.lock == row.lock)) is not None:
            return found
        if row.max_running is not None:
            return self._behind_limit(row, sa.and_(t.name == row.name, t.max_running.is_not(None)))
        return Standing(waits_for=WaitsFor.TURN, lock=row.lock, position=1)

    def _behind_lock(self, row: Any, gate: ColumnElement[bool]) -> Standing | None:
        """Behind who has it, or else behind the one before it; None where it is the next to get it."""
        t = saga_ticket.c
        inside = _tickets(t.saga_id, saga.c.state).where(gate, *_holds())
        waiting = _tickets(t.saga_id, saga.c.state).where(gate, *self._before(row))
        found = self._all(inside.order_by(t.admitted_at).limit(1)) or self._all(
            waiting.order_by(t.priority, t.since.desc(), t.place.desc(), t.saga_id.desc()).limit(1)
        )
        if not found:
            return None
        return Standing(
            waits_for=WaitsFor.LOCK,
            lock=row.lock,
            behind=found[0].saga_id,
            behind_state=SagaStatus(found[0].state),
            position=self._position(row, gate),
        )

    def _behind_limit(self, row: Any, gate: ColumnElement[bool]) -> Standing:
        running = _tickets(sa.func.count().label("running"), _limit_of(row.name).label("limit"))
        is_running = [saga_ticket.c.admitted_at.is_not(None), saga.c.state.in_(UNDER_WAY)]
        (found,) = self._all(running.where(gate, *is_running))
        if found.running < found.limit:
            return Standing(waits_for=WaitsFor.TURN, lock=row.lock, position=1)
        position = self._position(row, gate)
        return Standing(waits_for=WaitsFor.PLACE, lock=row.lock, limit=found.limit, position=position)

    def _position(self, row: Any, gate: ColumnElement[bool]) -> int:
        ((before,),) = self._all(_tickets(sa.func.count()).where(gate, *self._before(row)))
        return int(before) + 1

    def _before(self, row: Any) -> list[ColumnElement[bool]]:
        """Those that wait as well, and come first."""
        t = saga_ticket.c
        pending = saga.c.state == SagaStatus.PENDING.value
        return [t.admitted_at.is_(None), t.since <= now(self._clock), pending, precedes(t, row)]

    def _all(self, query: sa.Select[Any]) -> Sequence[Any]:
        def once() -> Sequence[Any]:
            with self._connections.autocommit() as connection:
                return connection.execute(query).all()

        return self._connections.reconnected(once)


def _tickets(*columns: Any) -> sa.Select[Any]:
    return sa.select(*columns).select_from(saga_ticket.join(saga, saga.c.id == saga_ticket.c.saga_id))


def _in_or_waiting(clock: Clock) -> list[ColumnElement[bool]]:
    t = saga_ticket.c
    return [saga.c.state.not_in(_DONE), sa.or_(t.admitted_at.is_not(None), t.since <= now(clock))]


def _count(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return sa.func.sum(sa.case((condition, 1), else_=0))


def _holds() -> list[ColumnElement[bool]]:
    return [saga_ticket.c.admitted_at.is_not(None), saga.c.state.not_in(_DONE)]


def _limit_of(name: Any) -> sa.ScalarSelect[Any]:
    """Of several limits the one that was given last counts."""
    t = saga_ticket.alias("of_name").c
    query = sa.select(t.max_running).where(t.name == name, t.max_running.is_not(None))
    return query.order_by(t.saga_id.desc()).limit(1).scalar_subquery()


def _lock_queue(lock: str, rows: Iterable[Any]) -> LockQueue:
    found = list(rows)
    holders = tuple(
        Holder(saga_id=row.saga_id, name=row.name, status=SagaStatus(row.state), since=row.admitted_at)
        for row in found
        if row.admitted_at is not None
    )
    waiters = tuple(row.saga_id for row in found if row.admitted_at is None)
    return LockQueue(lock=lock, holders=holders, waiters=waiters)
