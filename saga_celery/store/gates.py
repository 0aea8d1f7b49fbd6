"""The gates before a saga's first step: its time, its lock, and the number of its kind that may be under way.

A ticket says that a saga was let in; whether it still holds anything is read off the saga's own state, so nothing is
lost when the process dies that should have given it back. A lock is held until the saga has ended cleanly: one that
waits in the dead letters is half done, which is what the lock protects. Its place among those under way is free then.

Whoever decides holds a mutex for each gate, in one order and for one short transaction. No caller's transaction ever
holds one.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from saga_celery.core.states import SagaStatus
from saga_celery.engine.admission import Entry
from saga_celery.engine.ports import DEADLINE_SLOT, NUDGE_SLOT, Awaited
from saga_celery.store.clock import Clock, after, now
from saga_celery.store.connections import Connections
from saga_celery.store.rows import DONE
from saga_celery.store.schema import saga, saga_awaited, saga_gate, saga_ticket
from saga_celery.store.tickets import precedes, turn
from saga_celery.store.upsert import upsert

MUTEXES = 256
"""Rows that serve as mutexes. Two gates that share one merely wait for each other."""
NUDGE_GRACE = 10.0
"""Seconds until a saga that was let in, and that no coordinator took up, is nudged again."""
FIRST_LOOK = 15.0
"""Seconds between two looks at who comes next, in case that whoever should have let it in died."""
LATER_LOOK = 300.0
"""Seconds between two looks at those behind it."""

UNDER_WAY = tuple(s.value for s in (SagaStatus.PENDING, SagaStatus.RUNNING, SagaStatus.COMPENSATING))
"""What counts against a limit."""
_DONE = tuple(status.value for status in DONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ticket:
    saga_id: str
    name: str
    lock: str | None
    family: str
    limited: bool
    admitted: bool
    refuse: bool

    def mutexes(self) -> list[int]:
        gates = [f"lock {self.lock}"] * (self.lock is not None) + [f"limit {self.name}"] * self.limited
        return sorted({zlib.crc32(gate.encode()) % MUTEXES for gate in gates})


class Gates:
    """Who is in, and who waits.

    Args:
        connections: the database.
        clock: whose time counts.
    """

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    # ----------------------------------------------------------------------------------------------------------- enter

    def enter(self, saga_id: str) -> Entry:
        """Let in whoever comes first at the gates of this saga. Once in, a saga stays in."""
        ticket = self._ticket(saga_id)
        if ticket is None or ticket.admitted:
            return Entry(admitted=True)
        admitted = self._serve(ticket)
        others = tuple(each for each in admitted if each != saga_id)
        if saga_id in admitted or self._is_in(saga_id):
            return Entry(admitted=True, others=others)
        if ticket.refuse and (holder := self._holder(ticket)) is not None:
            return Entry(admitted=False, others=others, refused_by=holder)
        self._look_later(ticket)
        return Entry(admitted=False, others=others)

    def leave(self, saga_id: str) -> Sequence[str]:
        """Give back what a saga that came to a stop held, and let in who comes next; returns who is to be nudged."""
        ticket = self._ticket(saga_id)
        if ticket is None:
            return ()
        ended = sa.exists().where(saga.c.id == saga_ticket.c.saga_id, saga.c.state.in_(_DONE))
        self._write(sa.delete(saga_ticket).where(saga_ticket.c.saga_id == saga_id, ended))
        admitted = self._serve(ticket)
        for gate in _gates(ticket):
            self._look_soon(gate)
        return admitted

    # ----------------------------------------------------------------------------------------------------------- serve

    def _serve(self, ticket: _Ticket) -> list[str]:
        """Let in whoever may come in at the gates of a ticket, the first one first."""
        admitted: list[str] = []
        for gate in self._open_gates(ticket):
            while (first := self._first(gate)) is not None and self._admit(first):
                admitted.append(first.saga_id)
                for behind in _gates(first):
                    self._look_soon(behind)
        return admitted

    def _open_gates(self, ticket: _Ticket) -> list[ColumnElement[bool]]:
        """Those at which anybody may come in: a long queue is not gone through in vain."""
        gates: list[ColumnElement[bool]] = []
        if ticket.lock is not None and not self._all(_held_by_others(ticket)):
            gates.append(_at_lock(ticket.lock))
        if ticket.limited and _is_free(self._all(_places(ticket.name))):
            gates.append(_at_limit(ticket.name))
        if ticket.lock is None and not ticket.limited:
            gates.append(saga_ticket.c.saga_id == ticket.saga_id)
        return gates

    def _first(self, gate: ColumnElement[bool]) -> _Ticket | None:
        """Who comes next at a gate, of those that nobody else's lock keeps out."""
        rows = self._all(_select().where(gate, *_waits(self._clock), _lock_is_free(self._clock)).order_by(*turn()))
        return _ticket(rows[0]) if rows else None

    def _admit(self, ticket: _Ticket) -> bool:
        return self._connections.run(lambda connection: self._admit_in(connection, ticket))

    def _admit_in(self, connection: Connection, ticket: _Ticket) -> bool:
        mutex = upsert(self._connections.dialect, saga_gate, {}, ("number",))
        for number in ticket.mutexes():
            connection.execute(mutex, {"number": number})
        t = saga_ticket.c
        mine = t.saga_id == ticket.saga_id
        free = _select().where(mine, *_waits(self._clock), _lock_is_free(self._clock))
        if connection.execute(free).first() is None:
            return False
        if ticket.limited and not _is_free(connection.execute(_places(ticket.name)).all()):
            return False
        return self._let_in(connection, ticket.saga_id)

    def _let_in(self, connection: Connection, saga_id: str) -> bool:
        """Its nudge is awaited from now on, and its deadline counts. A cancel that came first has its row."""
        still = sa.select(saga.c.state).where(saga.c.id == saga_id, saga.c.state == SagaStatus.PENDING.value)
        if connection.execute(still.with_for_update()).first() is None:
            return False
        t, a = saga_ticket.c, saga_awaited.c
        nudge = {
            "awaited": Awaited.NUDGE.value,
            "due_at": after(self._clock, NUDGE_GRACE),
            "since": now(self._clock),
            "resends": 0,
            "failures": 0,
        }
        connection.execute(sa.update(saga_awaited).where(*_at(saga_id, NUDGE_SLOT)).values(nudge))
        counts = {"due_at": after(self._clock, a.timeout), "since": now(self._clock)}
        if connection.execute(sa.update(saga_awaited).where(*_at(saga_id, DEADLINE_SLOT)).values(counts)).rowcount:
            due_at = sa.select(a.due_at).where(*_at(saga_id, DEADLINE_SLOT)).scalar_subquery()
            connection.execute(sa.update(saga).where(saga.c.id == saga_id).values(deadline_at=due_at))
        connection.execute(sa.update(saga_ticket).where(t.saga_id == saga_id).values(admitted_at=now(self._clock)))
        return True

    # ------------------------------------------------------------------------------------------------------------ look

    def _look_soon(self, gate: ColumnElement[bool]) -> None:
        """Whoever comes next at a gate is looked at every now and then, whatever happens to those who should let it
        in."""
        first = _first_id(gate, self._clock)
        self._look(saga_awaited.c.saga_id == first, FIRST_LOOK, sooner=True)

    def _look_later(self, ticket: _Ticket) -> None:
        next_at: list[Any] = [_first_id(gate, self._clock) == ticket.saga_id for gate in _gates(ticket)]
        comes_next = bool(next_at) and any(self._all(sa.select(*next_at))[0])
        its_time_has_come = sa.exists().where(
            saga_ticket.c.saga_id == ticket.saga_id, saga_ticket.c.since <= now(self._clock)
        )
        mine = sa.and_(saga_awaited.c.saga_id == ticket.saga_id, its_time_has_come)
        self._look(mine, FIRST_LOOK if comes_next else LATER_LOOK, sooner=False)

    def _look(self, whose: ColumnElement[bool], seconds: float, *, sooner: bool) -> None:
        a, due_at = saga_awaited.c, after(self._clock, seconds)
        waits = [whose, a.step == "", a.item == 0, a.awaited == Awaited.ADMISSION.value]
        waits += [a.due_at > due_at] if sooner else []
        self._write(sa.update(saga_awaited).where(*waits).values(due_at=due_at))

    # ------------------------------------------------------------------------------------------------------------ rows

    def _ticket(self, saga_id: str) -> _Ticket | None:
        rows = self._all(_select().where(saga_ticket.c.saga_id == saga_id))
        return _ticket(rows[0]) if rows else None

    def _is_in(self, saga_id: str) -> bool:
        ticket = self._ticket(saga_id)
        return ticket is None or ticket.admitted

    def _holder(self, ticket: _Ticket) -> str | None:
        """Who is in with the lock, or before it in the queue."""
        other, its = saga_ticket.alias("other"), saga.alias("its")
        who = (
            sa.select(other.c.saga_id)
            .join(its, its.c.id == other.c.saga_id)
            .where(
                other.c.lock == ticket.lock,
                other.c.saga_id != ticket.saga_id,
                its.c.state.not_in(_DONE),
                sa.or_(other.c.admitted_at.is_not(None), other.c.since <= now(self._clock)),
            )
        )
        rows = self._all(who.order_by(other.c.admitted_at.is_(None), *turn(other)).limit(1))
        return str(rows[0][0]) if rows else None

    def _all(self, query: sa.Select[Any]) -> Sequence[Any]:
        def once() -> Sequence[Any]:
            with self._connections.autocommit() as connection:
                return connection.execute(query).all()

        return self._connections.reconnected(once)

    def _write(self, statement: sa.Update | sa.Delete) -> None:
        def once() -> None:
            with self._connections.autocommit() as connection:
                connection.execute(statement)

        self._connections.again(lambda: self._connections.reconnected(once))


# ---------------------------------------------------------------------------------------------------------- conditions


def _select() -> sa.Select[Any]:
    t = saga_ticket.c
    return sa.select(t.saga_id, t.name, t.lock, t.family, t.max_running, t.admitted_at, t.refuse)


def _ticket(row: Any) -> _Ticket:
    return _Ticket(
        saga_id=row.saga_id,
        name=row.name,
        lock=row.lock,
        family=row.family,
        limited=row.max_running is not None,
        admitted=row.admitted_at is not None,
        refuse=bool(row.refuse),
    )


def _gates(ticket: _Ticket) -> list[ColumnElement[bool]]:
    """The tickets that stand at the same gates; none where a saga waits for nothing but its time."""
    at_lock = [] if ticket.lock is None else [_at_lock(ticket.lock)]
    return [*at_lock, *([_at_limit(ticket.name)] if ticket.limited else [])]


def _at_lock(lock: str) -> ColumnElement[bool]:
    return saga_ticket.c.lock == lock


def _at_limit(name: str) -> ColumnElement[bool]:
    return sa.and_(saga_ticket.c.name == name, saga_ticket.c.max_running.is_not(None))


def _held_by_others(ticket: _Ticket) -> sa.Select[Any]:
    t = saga_ticket.c
    held = [t.lock == ticket.lock, t.admitted_at.is_not(None), t.family != ticket.family, saga.c.state.not_in(_DONE)]
    return sa.select(t.saga_id).join(saga, saga.c.id == t.saga_id).where(*held).limit(1)


def _places(name: str) -> sa.Select[Any]:
    """How many of a name are under way, and how many may be: ids sort by their time, and the latest limit counts."""
    t, latest = saga_ticket.c, saga_ticket.alias("latest").c
    limit = sa.select(latest.max_running).where(latest.name == name, latest.max_running.is_not(None))
    return (
        sa.select(sa.func.count(), limit.order_by(latest.saga_id.desc()).limit(1).scalar_subquery())
        .select_from(saga_ticket.join(saga, saga.c.id == t.saga_id))
        .where(_at_limit(name), t.admitted_at.is_not(None), saga.c.state.in_(UNDER_WAY))
    )


def _is_free(places: Sequence[Any]) -> bool:
    ((running, limit),) = places
    return limit is not None and bool(running < limit)


def _waits(clock: Clock, tickets: Any = saga_ticket) -> list[ColumnElement[bool]]:
    """Its time has come, and it is neither in nor cancelled."""
    pending = sa.exists().where(saga.c.id == tickets.c.saga_id, saga.c.state == SagaStatus.PENDING.value)
    return [tickets.c.admitted_at.is_(None), tickets.c.since <= now(clock), pending.correlate(tickets)]


def _lock_is_free(clock: Clock) -> ColumnElement[bool]:
    """True of a ticket without a lock, of one whose family has it, and of the first where nobody has it."""
    t = saga_ticket.c
    held, its = saga_ticket.alias("held"), saga.alias("its")
    holds = (
        sa.exists()
        .select_from(held.join(its, its.c.id == held.c.saga_id))
        .where(held.c.lock == t.lock, held.c.admitted_at.is_not(None), its.c.state.not_in(_DONE))
    )
    ahead = saga_ticket.alias("ahead")
    comes_before = sa.exists().where(ahead.c.lock == t.lock, precedes(ahead.c, t), *_waits(clock, ahead))
    by_family = holds.where(held.c.family == t.family).correlate(saga_ticket)
    by_others = holds.where(held.c.family != t.family).correlate(saga_ticket)
    return sa.and_(~by_others, sa.or_(by_family, ~comes_before.correlate(saga_ticket)))


def _first_id(gate: ColumnElement[bool], clock: Clock) -> sa.ScalarSelect[Any]:
    return sa.select(saga_ticket.c.saga_id).where(gate, *_waits(clock)).order_by(*turn()).limit(1).scalar_subquery()


def _at(saga_id: str, slot: Any) -> list[ColumnElement[bool]]:
    a = saga_awaited.c
    return [a.saga_id == saga_id, a.step == slot.step, a.item == slot.item, a.direction == slot.direction.value]
