"""Pauses: what shall not go out for now. They are few, so whoever asks reads them all."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from saga_celery.engine.ports import Pause, PauseKind
from saga_celery.store.awaited import AwaitedRows
from saga_celery.store.clock import Clock, now
from saga_celery.store.codec import storable
from saga_celery.store.columns import NAME
from saga_celery.store.connections import Connections
from saga_celery.store.schema import saga_pause
from saga_celery.store.upsert import insert_if_absent

t = saga_pause.c


class Pauses:
    """The pauses of all sagas.

    Args:
        connections: the database.
        clock: whose time counts.
        awaited: what is held until they end.
    """

    def __init__(self, connections: Connections, clock: Clock, awaited: AwaitedRows) -> None:
        self._connections = connections
        self._clock = clock
        self._awaited = awaited

    def all(self) -> list[Pause]:
        """Every pause, the oldest first."""

        def once() -> list[Pause]:
            with self._connections.autocommit() as connection:
                query = sa.select(t.kind, t.name, t.since, t.actor, t.reason).order_by(t.since, t.kind, t.name)
                return [_pause(row) for row in connection.execute(query)]

        return self._connections.reconnected(once)

    def begin(self, kind: PauseKind, name: str, *, actor: str, reason: str) -> tuple[Pause, bool]:
        """Pause; what is paused already stays as it is.

        Returns:
            The pause, and whether it is a new one.
        """
        values = {"actor": storable(actor)[:NAME], "reason": storable(reason)}

        def once(connection: Connection) -> tuple[Pause, bool]:
            query = sa.select(t.kind, t.name, t.since, t.actor, t.reason).where(*_at(kind, name))
            found = connection.execute(query).first()
            if found is None:
                new = insert_if_absent(self._connections.dialect, saga_pause)
                connection.execute(new.values(kind=kind.value, name=name, since=now(self._clock), **values))
            return _pause(found or connection.execute(query).one()), found is None

        return self._connections.run(once)

    def end(self, kind: PauseKind, name: str) -> bool:
        """End a pause; everything that is held is looked at at once. False when there is no such pause."""

        def once(connection: Connection) -> bool:
            return bool(connection.execute(sa.delete(saga_pause).where(*_at(kind, name))).rowcount)

        ended = self._connections.run(once)
        self._awaited.release_soon()
        return ended


def _at(kind: PauseKind, name: str) -> list[ColumnElement[bool]]:
    return [t.kind == kind.value, t.name == name]


def _pause(row: Any) -> Pause:
    kind, name, since, actor, reason = row
    return Pause(kind=PauseKind(kind), name=name, since=since, actor=actor, reason=reason)
