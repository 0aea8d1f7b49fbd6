"""Values that are kept apart, in a table of the saga database: written with the transition or start that refers to
them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from saga_celery.engine.payloads import Payload
from saga_celery.store.connections import Connections
from saga_celery.store.schema import saga_payload
from saga_celery.store.upsert import insert_if_absent

t = saga_payload.c

Row = dict[str, Any]


def payload_rows(payloads: Iterable[Payload]) -> list[Row]:
    """Rows of payloads."""
    return [{"saga_id": each.saga_id, "digest": each.digest, "body": each.body} for each in payloads]


def keep_payloads(dialect: str) -> sa.Insert:
    """Insert payloads; what a digest stands for never changes, so one that is there stays."""
    return insert_if_absent(dialect, saga_payload)


class PayloadRows:
    """The payload store of those who set no other.

    Args:
        connections: the database.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def put(self, saga_id: str, digest: str, body: bytes) -> None:
        """Keep a payload by a transaction of its own."""
        rows = payload_rows([Payload(saga_id=saga_id, digest=digest, body=body.decode())])
        statement = keep_payloads(self._connections.dialect)
        self._connections.run(lambda connection: connection.execute(statement, rows))

    def get(self, saga_id: str, digest: str) -> bytes:
        """Read a payload.

        Raises:
            KeyError: there is none.
        """
        query = sa.select(t.body).where(t.saga_id == saga_id, t.digest == digest)

        def once() -> str | None:
            with self._connections.autocommit() as connection:
                return connection.execute(query).scalar_one_or_none()

        found = self._connections.reconnected(once)
        if found is None:
            raise KeyError(digest)
        return found.encode()

    def delete(self, saga_id: str) -> None:
        """Delete all payloads of a saga."""
        self._connections.run(lambda own: own.execute(sa.delete(saga_payload).where(t.saga_id == saga_id)))
