"""Tickets: what sagas that begin on terms are stored with; one row for each that is open.

Inserted with the saga, in the caller's transaction; who is let in is decided after the commit, by `gates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from saga_celery.core.states import SagaStatus
from saga_celery.engine.ports import DEADLINE_SLOT, NUDGE_SLOT, Awaited, Due
from saga_celery.errors import Locked
from saga_celery.store.clock import Clock, after, now
from saga_celery.store.columns import UtcTime
from saga_celery.store.executors import Executor, Row
from saga_celery.store.rows import DONE, awaited_row
from saga_celery.store.schema import saga, saga_key, saga_ticket

if TYPE_CHECKING:
    from saga_celery.store.starts import IfExists, NewSaga

NOT_YET = 100 * 365.25 * 86400.0
"""Seconds until a deadline that has not begun to count: as good as never."""

_AT: sa.BindParameter[datetime | None] = sa.bindparam("at", type_=UtcTime())
_DELAY: sa.BindParameter[float] = sa.bindparam("delay", type_=sa.Double())


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A saga's place at its gates."""

    new: NewSaga
    lock: str | None
    place: int
    """Among those that were started at once."""
    family: str
    """Sagas of one family share their lock: a saga and its children."""

    @property
    def scheduled(self) -> bool:
        """It has a time of its own."""
        return self.new.terms.scheduled


def tickets_of(executor: Executor, sagas: Sequence[NewSaga]) -> list[Ticket]:
    """The tickets of those sagas that need one."""
    found = []
    for place, new in enumerate(sagas):
        lock, family = new.terms.lock, new.id
        if new.shares_lock_of is not None:
            lock, family = _shared(executor, new.shares_lock_of) or (lock, family)
        if lock is not None or new.terms.gated:
            found.append(Ticket(new=new, lock=lock, place=place, family=family))
    return found


def _shared(executor: Executor, parent: str) -> tuple[str, str] | None:
    t = saga_ticket.c
    rows = executor.read(sa.select(t.lock, t.family).where(t.saga_id == parent, t.lock.is_not(None)))
    return (rows[0][0], rows[0][1]) if rows else None


# --------------------------------------------------------------------------------------------------------------- order


def turn(tickets: Any = saga_ticket) -> tuple[ColumnElement[Any], ...]:
    """The order in which tickets are served, to sort by."""
    t = tickets.c
    return (t.priority.desc(), t.since, t.place, t.saga_id)


def precedes(one: Any, other: Any) -> ColumnElement[bool]:
    """Tell whether the first of two tickets, both columns or both values, is served before the second."""
    by_id = one.saga_id < other.saga_id
    by_place = sa.or_(one.place < other.place, sa.and_(one.place == other.place, by_id))
    by_time = sa.or_(one.since < other.since, sa.and_(one.since == other.since, by_place))
    return sa.or_(one.priority > other.priority, sa.and_(one.priority == other.priority, by_time))


# -------------------------------------------------------------------------------------------------------------- insert


def saga_times(clock: Clock) -> Row:
    """The columns of a saga's row that are times. Its deadline begins to count when it is let in."""
    time = now(clock)
    return {
        "created_at": time,
        "updated_at": time,
        "starts_at": sa.case((sa.or_(_AT.is_not(None), _DELAY > 0), _begins(clock)), else_=sa.null()),
    }


def ticket_times(clock: Clock) -> Row:
    """The column of a ticket that is a time: since when it waits, which for a scheduled saga is its own time."""
    return {"since": _begins(clock)}


def _begins(clock: Clock) -> ColumnElement[datetime]:
    time = now(clock)
    return sa.case((time < _AT, _AT), (_AT.is_not(None), time), else_=after(clock, _DELAY))


def saga_columns(ticket: Ticket) -> Row:
    """What the row of such a saga has besides the usual."""
    return {"gated": True, "lock": ticket.lock, **_times(ticket)}


def ticket_row(ticket: Ticket) -> Row:
    """The row of a ticket, but for its time."""
    new = ticket.new
    return {
        "saga_id": new.id,
        "name": new.name,
        "lock": ticket.lock,
        "max_running": new.terms.max_running,
        "priority": new.priority or 0,
        "family": ticket.family,
        "refuse": new.terms.refuse,
        "place": ticket.place,
        "admitted_at": None,
        **_times(ticket),
    }


def _times(ticket: Ticket) -> Row:
    return {"at": ticket.new.terms.at, "delay": ticket.new.terms.delay or 0.0}


def awaited_times(clock: Clock) -> Row:
    """The columns of a wait that are times, for what waits for admission and for the deadline behind it."""
    time = now(clock)
    seconds: sa.BindParameter[float] = sa.bindparam("seconds", type_=sa.Double())
    due_at = sa.case((time < _AT, _AT), else_=after(clock, seconds))
    return {"due_at": due_at, "since": time, "resends": 0, "failures": 0}


def waits_of(ticket: Ticket, look_after: float) -> list[Row]:
    """What such a saga awaits: admission in place of the nudge, and a deadline that does not count yet.

    Args:
        ticket: the saga's.
        look_after: seconds after which the sweeper looks whether some coordinator took it up, if it is not scheduled.
    """
    new, terms = ticket.new, ticket.new.terms
    seconds = (terms.delay or 0.0) if terms.scheduled else look_after
    admission = Due(slot=NUDGE_SLOT, awaited=Awaited.ADMISSION, seconds=seconds)
    rows = [{"saga_id": new.id, **awaited_row(admission, 0), "at": terms.at}]
    if new.timeout is not None:
        deadline = Due(slot=DEADLINE_SLOT, awaited=Awaited.DEADLINE, seconds=NOT_YET, timeout=new.timeout)
        rows.append({"saga_id": new.id, **awaited_row(deadline, 0), "at": None})
    return rows


# -------------------------------------------------------------------------------------------------------------- refuse


def refuse_locked(executor: Executor, sagas: Sequence[NewSaga], if_exists: IfExists) -> None:
    """Refuse sagas that would have to wait for their lock, and were not to.

    Called before anything is inserted, so that a caller may go on with the transaction. Of two that start at once
    neither sees the other; then the one that comes second is called off when its turn comes.

    Raises:
        Locked: names the saga that has the lock.
    """
    taken: dict[str, str] = {}
    for new in sagas:
        lock = new.terms.lock
        if lock is None:
            continue
        if new.terms.refuse and _would_start(executor, new, if_exists):
            holder = taken.get(lock) or _holder(executor, lock)
            if holder is not None:
                raise Locked(lock, holder)
        taken.setdefault(lock, new.id)


def _holder(executor: Executor, lock: str) -> str | None:
    """Who has a lock, or will have it next."""
    t = saga_ticket.c
    is_open = saga.c.state.not_in([status.value for status in DONE])
    due = sa.or_(t.admitted_at.is_not(None), saga.c.starts_at.is_(None))
    query = sa.select(t.saga_id).join(saga, saga.c.id == t.saga_id).where(t.lock == lock, is_open, due)
    first = query.order_by(t.admitted_at.is_(None), *turn()).limit(1)
    rows = executor.read(first)
    return str(rows[0][0]) if rows else None


def _would_start(executor: Executor, new: NewSaga, if_exists: IfExists) -> bool:
    """Tell whether its key is free, so that it needs the lock at all."""
    if new.key is None:
        return True
    k = saga_key.c
    owner = sa.select(saga.c.state).select_from(saga_key.outerjoin(saga, saga.c.id == k.saga_id))
    rows: Sequence[Sequence[Any]] = executor.read(owner.where(k.name == new.name, k.key == new.key))
    if not rows:
        return True
    return if_exists == "new_if_ended" and (rows[0][0] is None or SagaStatus(rows[0][0]) in DONE)
