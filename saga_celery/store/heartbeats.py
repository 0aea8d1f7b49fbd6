"""Heartbeats: one row for each worker process, with the attempts that it has in hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from saga_celery.core.states import Slot
from saga_celery.engine.ports import Living, Running
from saga_celery.store.clock import Clock, after, db_between, now
from saga_celery.store.codec import dumps, from_json, loads, to_json
from saga_celery.store.connections import Connections
from saga_celery.store.schema import saga_worker
from saga_celery.store.upsert import upsert

FRESH = 20.0
"""Seconds for which a heartbeat, written every 5 s, stands for a living worker."""
REMEMBERED = 86_400.0
"""Seconds for which a silent worker is known to be dead; longer than that no lease lasts."""

SWEEPER = "saga-sweep"
"""What the heartbeat of a process that does nothing but sweep is called, before its machine and number."""

t = saga_worker.c


def sweeps_alone(worker: str) -> bool:
    """Tell the heartbeat of a process that does nothing but sweep."""
    return worker.startswith(f"{SWEEPER}@")


class Heartbeats:
    """Who lives, and what they have in hand.

    Args:
        connections: the database.
        clock: whose time counts.
    """

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    def beat(self, worker: str, running: Sequence[Running]) -> None:
        """Write the heartbeat of a worker process, with the attempts that it has in hand."""
        attempts = dumps([_plain(found) for found in running])
        beat = sa.update(saga_worker).where(t.id == worker).values(beat_at=now(self._clock), attempts=attempts)
        with self._connections.autocommit() as connection:
            known = connection.execute(beat).rowcount
        if not known:
            self._connections.run(lambda connection: self._first_beat(connection, worker, attempts))

    def _first_beat(self, connection: Connection, worker: str, attempts: str) -> None:
        connection.execute(sa.delete(saga_worker).where(t.beat_at < after(self._clock, -REMEMBERED)))
        values = {"beat_at": now(self._clock)}
        first = upsert(self._connections.dialect, saga_worker, values, ("beat_at", "attempts"))
        connection.execute(first, {"id": worker, "attempts": attempts})

    def farewell(self, worker: str) -> None:
        """Note that a worker ends: it is known, and lives no more."""
        past = after(self._clock, -FRESH - 1)
        with self._connections.autocommit() as connection:
            connection.execute(sa.update(saga_worker).where(t.id == worker).values(beat_at=past, attempts="[]"))

    def living(self) -> Living:
        """The workers with a fresh heartbeat, and every one that is known."""
        age = db_between(t.beat_at, now(self._clock)).label("age")
        with self._connections.autocommit() as connection:
            rows = connection.execute(sa.select(t.id, t.attempts, age)).all()
        fresh = [row for row in rows if row.age < FRESH]
        return Living(
            workers=frozenset(row.id for row in fresh),
            known=frozenset(row.id for row in rows),
            attempts={
                (run.saga_id, run.slot.step, run.slot.item, run.slot.direction.value, run.attempt): run
                for row in fresh
                for run in _running(row)
            },
        )


def _plain(running: Running) -> dict[str, Any]:
    plain: dict[str, Any] = to_json(running)
    del plain["worker"]
    return {**plain, "slot": list(running.slot)}


def _running(row: Any) -> Iterator[Running]:
    """What a heartbeat lists; those who ran then have run for longer by its age."""
    for plain in loads(row.attempts):
        slot: Slot = from_json(Slot, plain["slot"])
        more = max(float(row.age), 0.0) if plain["started"] else 0.0
        yield Running(
            saga_id=plain["saga_id"],
            slot=slot,
            attempt=plain["attempt"],
            worker=row.id,
            started=plain["started"],
            seconds=plain["seconds"] + more,
        )
