"""What the metrics are made of: numbers of what is open, and what has happened since somebody looked last.

What is open is read from the narrow tables and by the index of states; of what has ended no more is read than what
somebody asks for by its id or by the time of its start. Only `started` and `ended` read the whole table of sagas.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from saga_celery.core import events as e
from saga_celery.core.states import Direction, SagaStatus, StepStatus
from saga_celery.engine.ports import Awaited
from saga_celery.store.clock import Clock, db_between, db_now
from saga_celery.store.codec import fact_from_json, loads
from saga_celery.store.columns import UtcTime
from saga_celery.store.connections import Connections
from saga_celery.store.open_sagas import OPEN
from saga_celery.store.queries import IN_VAIN, MOST_IDS, STUCK_AFTER
from saga_celery.store.rows import DONE
from saga_celery.store.schema import (
    saga,
    saga_awaited,
    saga_dead_letter,
    saga_delivery,
    saga_history,
    saga_step,
    saga_worker,
)
from saga_celery.store.snapshots import snapshot

_OPEN = [status.value for status in OPEN]
_DONE = [status.value for status in DONE]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A saga, and how often it has moved."""

    id: str
    name: str
    status: SagaStatus
    version: int
    began: datetime
    """When it was started, or was to begin, whichever is later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How many sagas of a name ended in a way, of those whose duration lies between two bounds."""

    name: str
    status: SagaStatus
    place: int
    """Number of the upper bound; of those beyond all bounds how many bounds there are."""
    count: int
    seconds: float
    """Of all of them together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One transition of a saga, with those of its facts that were asked for."""

    saga_id: str
    version: int
    at: datetime
    facts: tuple[e.Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heap:
    """How much lies somewhere, and since when."""

    count: int = 0
    since: datetime | None = None
    """Of the oldest one; None: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingSteps:
    """How many steps of a name wait for an event, or sleep, in sagas of a name and a plan."""

    name: str
    plan_hash: str
    step: str
    count: int


class Metering:
    """Reads, and only reads.

    Args:
        connections: the database.
        clock: whose time counts.
    """

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    @contextmanager
    def look(self, seconds: float) -> Iterator[Look]:
        """Everything as it is at one moment.

        Args:
            seconds: how long each statement may take.

        Raises:
            StoreError: see `saga_celery.store.snapshots.snapshot`.
        """
        time = self._time()  # before that moment: what is not seen then comes later
        with snapshot(self._connections, seconds) as connection:
            yield Look(connection, time)

    def _time(self) -> datetime:
        if (fixed := self._clock.fixed()) is not None:
            return fixed

        def once() -> datetime:
            with self._connections.autocommit() as connection:
                found: datetime = connection.execute(sa.select(db_now())).scalar_one()
            return found

        return self._connections.reconnected(once)


class Look:
    """The database at one moment.

    Args:
        connection: sees that moment.
        now: the time just before it, by the database's clock.
    """

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self.now = now

    # ----------------------------------------------------------------------------------------------- all there ever was

    def started(self) -> dict[str, int]:
        """How many sagas there are, by name."""
        query = sa.select(saga.c.name, sa.func.count()).group_by(saga.c.name)
        return {name: int(count) for name, count in self._all(query)}

    def ended(self, bounds: Sequence[float]) -> list[Ended]:
        """How many sagas are completed or compensated, by how long they took.

        Args:
            bounds: seconds, growing; each is the upper one, inclusive, of a range.
        """
        seconds = db_between(_began(), saga.c.ended_at)
        columns = saga.c.name, saga.c.state, seconds.label("seconds")
        each = sa.select(*columns).where(saga.c.state.in_(_DONE)).subquery()
        place = sa.case(*((each.c.seconds <= bound, number) for number, bound in enumerate(bounds)), else_=len(bounds))
        ranged = sa.select(each.c.name, each.c.state, place.label("place"), each.c.seconds).subquery()
        key = ranged.c.name, ranged.c.state, ranged.c.place
        query = sa.select(*key, sa.func.count(), sa.func.sum(ranged.c.seconds)).group_by(*key)
        return [
            Ended(name=name, status=SagaStatus(state), place=int(place), count=int(count), seconds=float(total or 0.0))
            for name, state, place, count, total in self._all(query)
        ]

    # --------------------------------------------------------------------------------------------------- what has moved

    def open(self) -> list[Standing]:
        """The sagas that have not ended, and those that are parked."""
        return self._standings(*(saga.c.state == state for state in _OPEN))

    def done_since(self, moment: datetime) -> list[Standing]:
        """The sagas whose rows were made then or later, and that are done already."""
        return self._standings(sa.and_(saga.c.created_at >= moment, saga.c.state.in_(_DONE)))

    def standings(self, ids: Collection[str]) -> list[Standing]:
        """Those of these sagas that are there."""
        return [found for some in _portions(list(ids)) for found in self._standings(saga.c.id.in_(some))]

    def children(self, ids: Collection[str]) -> list[Standing]:
        """The children of these sagas."""
        return [found for some in _portions(list(ids)) for found in self._standings(saga.c.parent_id.in_(some))]

    def transitions(self, since: Mapping[str, int], kinds: Collection[type[Any]]) -> list[Transition]:
        """What sagas went through, in the order of it.

        Args:
            since: ids of sagas, and the last version of each that is not asked for.
            kinds: the facts that are wanted.
        """
        wanted = {kind.__name__ for kind in kinds}
        # Those that have got equally far together, so that of one with a long history no more is read than is new.
        ids = sorted(since, key=lambda saga_id: since[saga_id])
        t = saga_history.c
        found = []
        for some in _portions(ids):
            newer = [t.saga_id.in_(some), t.version > since[some[0]]]
            query = sa.select(t.saga_id, t.version, t.at, t.facts).where(*newer).order_by(t.saga_id, t.version)
            for saga_id, version, at, facts in self._all(query):
                if version > since[saga_id]:
                    read = tuple(fact_from_json(fact) for fact in loads(facts) if fact["fact"] in wanted)
                    found.append(Transition(saga_id=saga_id, version=version, at=at, facts=read))
        return found

    def _standings(self, *which: ColumnElement[bool]) -> list[Standing]:
        """The sagas of either kind. A part for each: of several states at once SQLite may think that all are meant."""
        columns = saga.c.id, saga.c.name, saga.c.state, saga.c.version, _began().label("began")
        query = sa.union_all(*(sa.select(*columns).where(each) for each in which))
        return [
            Standing(id=saga_id, name=name, status=SagaStatus(state), version=version, began=began)
            for saga_id, name, state, version, began in self._all(query)
        ]

    # ------------------------------------------------------------------------------------------------ what is there now

    def stuck(self) -> dict[str, int]:
        """How many sagas would be found by `Queries.find(stuck=True)`, by name."""
        t = saga_awaited.c
        long_ago = self.now - timedelta(seconds=STUCK_AFTER)
        in_vain = sa.or_(t.due_at < long_ago, t.resends >= IN_VAIN, t.failures >= IN_VAIN)
        ids = sa.union(
            sa.select(saga.c.id).where(saga.c.state == SagaStatus.FAILED.value),
            sa.select(saga_dead_letter.c.saga_id),
            sa.select(t.saga_id).where(in_vain),
        ).subquery()
        return dict(self._counts(sa.select(_name_of(ids.c.id)).select_from(ids)))

    def undo_failed(self) -> dict[str, int]:
        """How many sagas have a dead letter about a compensation, by name."""
        t = saga_dead_letter.c
        ids = sa.select(t.saga_id).where(t.direction == Direction.COMPENSATION.value).distinct().subquery()
        return dict(self._counts(sa.select(_name_of(ids.c.saga_id)).select_from(ids)))

    def dead_letters(self) -> dict[tuple[str, ...], int]:
        """How many dead letters there are, by the saga's name and the reason."""
        t = saga_dead_letter.c
        rows = self._counts(sa.select(_name_of(t.saga_id), t.reason))
        return {(name, reason): count for name, reason, count in rows}

    def waiting(self) -> list[WaitingSteps]:
        """The steps that wait for an event or for a time; which of both it is stands in the plan."""
        t, s = saga_awaited.c, saga_step.c
        same_step = [s.saga_id == t.saga_id, s.step == t.step, s.item == t.item]
        awaits = [
            t.awaited == Awaited.REST.value,
            t.direction == Direction.ACTION.value,
            sa.exists().where(*same_step, s.status == StepStatus.AWAITING.value),
        ]
        rows = self._counts(sa.select(*_of(t.saga_id, saga.c.name, saga.c.plan_hash), t.step).where(*awaits))
        return [
            WaitingSteps(name=name, plan_hash=plan_hash, step=step, count=count)
            for name, plan_hash, step, count in rows
        ]

    def awaited(self) -> dict[Awaited, Heap]:
        """How many waits there are, by what is awaited."""
        t = saga_awaited.c
        rows = self._all(sa.select(t.awaited, sa.func.count(), _oldest(t.since)).group_by(t.awaited))
        return {Awaited(awaited): Heap(count=int(count), since=since) for awaited, count, since in rows}

    def deliveries(self) -> Heap:
        """The deliveries that hooks have yet to get."""
        t = saga_delivery.c
        query = sa.select(sa.func.count(), _oldest(t.since)).where(t.due_at.is_not(None))
        ((count, since),) = self._all(query)
        return Heap(count=int(count), since=since)

    def given_up(self) -> int:
        """How many deliveries nobody sends any more."""
        query = sa.select(sa.func.count()).select_from(saga_delivery).where(saga_delivery.c.due_at.is_(None))
        ((count,),) = self._all(query)
        return int(count)

    def overdue(self) -> float:
        """Seconds for which the oldest wait has been overdue; 0 when none is."""
        ((due_at,),) = self._all(sa.select(_oldest(saga_awaited.c.due_at)))
        return max((self.now - due_at).total_seconds(), 0.0) if due_at is not None else 0.0

    def heartbeats(self) -> dict[str, float]:
        """Seconds since the latest heartbeat of each process that is known."""
        t = saga_worker.c
        rows = self._all(sa.select(t.id, t.beat_at))
        return {worker: max((self.now - beat_at).total_seconds(), 0.0) for worker, beat_at in rows}

    def _counts(self, rows: sa.Select[Any]) -> list[Any]:
        """How often each row is there, as its last column."""
        each = rows.subquery()
        query = sa.select(*each.c, sa.func.count()).where(each.c.name.is_not(None)).group_by(*each.c)
        return [(*key, int(count)) for *key, count in self._all(query)]

    def _all(self, query: sa.Executable) -> Sequence[Any]:
        return self._connection.execute(query).all()


def _began() -> ColumnElement[datetime]:
    t = saga.c
    return sa.case((t.starts_at > t.created_at, t.starts_at), else_=t.created_at)


def _of(saga_id: ColumnElement[str], *columns: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """Columns of a saga, looked up for each row. A join may be begun with the sagas, all of them."""
    return [
        sa.select(column).where(saga.c.id == saga_id).scalar_subquery().correlate_except(saga).label(column.name)
        for column in columns
    ]


def _name_of(saga_id: ColumnElement[str]) -> ColumnElement[Any]:
    (name,) = _of(saga_id, saga.c.name)
    return name


def _oldest(column: ColumnElement[Any]) -> ColumnElement[datetime]:
    return sa.func.min(column, type_=UtcTime())


def _portions(ids: list[str]) -> Iterator[list[str]]:
    return (ids[first : first + MOST_IDS] for first in range(0, len(ids), MOST_IDS))
