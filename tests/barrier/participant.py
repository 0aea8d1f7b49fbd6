"""A participant's own database: the barrier's table, and one table for the effects."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from saga_celery.app.barrier import barrier
from saga_celery.core.states import Direction, Failure, Slot
from saga_celery.store.barrier.connection import SQLAlchemyConnection
from saga_celery.store.barrier.crossings import Crossing, Handling
from saga_celery.store.barrier.passage import Passage
from saga_celery.store.barrier.table import create_barrier_table, saga_barrier
from tests.barrier.effects import EFFECTS, METADATA

SAGA = "0193a5b0-0000-7000-8000-000000000001"
PATIENCE = 60
"""Seconds that a test waits for a thread or a process before it fails."""


_WAITING = {
    "postgresql": (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ),
    # InnoDB's own views are refreshed only when nobody looks for a tenth of a second.
    "mysql": (
        "SELECT count(*) FROM information_schema.processlist "
        "WHERE db = database() AND command = 'Query' AND info LIKE 'INSERT IGNORE%%'"
    ),
}


@dataclass
class Participant:
    """A service with a database of its own."""

    engine: sa.Engine
    threads: ThreadPoolExecutor

    def __post_init__(self) -> None:
        self.session = sessionmaker(self.engine)
        self._begun = 0
        sa.event.listen(self.engine, "before_cursor_execute", self._count)

    def _count(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self._begun += statement == "BEGIN IMMEDIATE"

    @property
    def dialect(self) -> str:
        return self.engine.dialect.name

    def passage(self, direction: Direction = Direction.ACTION, **changes: Any) -> Passage:
        generation = changes.pop("generation", 1)
        return replace(Passage(saga_id=SAGA, slot=Slot("book", 0, direction, generation)), **changes)

    @property
    def action(self) -> Passage:
        return self.passage()

    @property
    def compensation(self) -> Passage:
        return self.passage(Direction.COMPENSATION)

    @property
    def probe(self) -> Passage:
        return self.passage(Direction.PROBE)

    def deliver(self, passage: Passage, work: Callable[[Session], Any], **options: Any) -> Any:
        """One delivery, on a session of its own."""
        with self.session() as session:
            return barrier(session, delivery=passage, **options).run(work, session)

    def at_once(self, passage: Passage, work: Callable[[Session], Any], **options: Any) -> "Future[Any]":
        """One delivery in a thread of its own."""
        return self.threads.submit(self.deliver, passage, work, **options)

    def hold(self, session: Session, passage: Passage) -> Crossing:
        """A delivery that has taken its slots and not committed yet."""
        crossing = self.crossing(session, passage)
        crossing.enter()
        return crossing

    def crossing(self, session: Session, passage: Passage) -> Crossing:
        handling = Handling(plain=lambda result: result, failure_of=lambda error: Failure(type=""), rest=lambda _: None)
        return Crossing(SQLAlchemyConnection(session), passage, handling)

    @staticmethod
    def write_into(session: Session, what: str) -> None:
        session.execute(sa.insert(EFFECTS).values(what=what))

    def write(self, what: str = "booked", result: Any = None) -> Callable[[Session], Any]:
        """Work that leaves a mark."""

        def work(session: Session) -> Any:
            self.write_into(session, what)
            return result

        return work

    def wait_until_blocked(self) -> None:
        """Wait until a delivery waits for another one's transaction, as the database itself tells."""
        deadline = time.monotonic() + PATIENCE
        while not self._somebody_waits():
            assert time.monotonic() < deadline, "nobody waits"

    def _somebody_waits(self) -> bool:
        if self.dialect == "sqlite":
            return self._begun > 1  # the second BEGIN IMMEDIATE
        with self.engine.connect() as connection:
            return bool(connection.exec_driver_sql(_WAITING[self.dialect]).scalar())

    @property
    def effects(self) -> list[str]:
        with self.engine.connect() as connection:
            return list(connection.scalars(sa.select(EFFECTS.c.what).order_by(EFFECTS.c.id)))

    @property
    def not_after(self) -> datetime | None:
        """Until when copies may come of the message that took the only slot."""
        with self.engine.connect() as connection:
            return connection.scalars(sa.select(saga_barrier.c.not_after)).one()

    @property
    def slots(self) -> dict[tuple[str, int], str]:
        """What the table holds: (direction, generation) -> state."""
        row = saga_barrier.c
        with self.engine.connect() as connection:
            found = connection.execute(sa.select(row.direction, row.generation, row.state))
            return {(direction, generation): state for direction, generation, state in found}


def open_participant(url: str, **options: Any) -> sa.Engine:
    engine = sa.create_engine(url, **options)
    create_barrier_table(engine)
    METADATA.create_all(engine)
    return engine


class Gate:
    """Work that stops half way, so that the test decides what happens meanwhile."""

    def __init__(self, work: Callable[[Session], Any], *, end: Exception | None = None) -> None:
        self._work = work
        self._end = end
        self._reached = threading.Event()
        self._opened = threading.Event()
        self.runs = 0

    def __call__(self, session: Session) -> Any:
        self.runs += 1
        result = self._work(session)
        self._reached.set()
        assert self._opened.wait(PATIENCE)
        if self._end is not None:
            raise self._end
        return result

    def wait_until_reached(self) -> None:
        assert self._reached.wait(PATIENCE)

    def open(self) -> None:
        self._opened.set()
