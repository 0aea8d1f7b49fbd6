"""Reading transactions all of whose statements see the database of one moment, and none of which takes for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.engine import Connection

from saga_celery.store.connections import Connections

OPCODES = 10_000
"""Steps of SQLite's machine between two looks at the time."""

_BEGIN = {
    "postgresql": ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",),
    "mysql": (
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    ),
    "sqlite": ("BEGIN",),
}


@contextmanager
def snapshot(connections: Connections, seconds: float) -> Iterator[Connection]:
    """A transaction that only reads. It takes no lock that a writer waits for.

    Args:
        connections: the database.
        seconds: how long a statement may take; on SQLite all of them together.

    Raises:
        StoreUnavailable: the database does not answer, or not in time.
        StoreError: see `saga_celery.store.faults.translated`.
    """
    with connections.autocommit() as connection:
        try:
            for statement in _BEGIN[connections.dialect]:
                connection.exec_driver_sql(statement)
            with _bounded(connection, connections.dialect, seconds):
                yield connection
            connection.exec_driver_sql("ROLLBACK")
        except BaseException:
            connection.invalidate()  # whatever state it is in, nobody gets it after us
            raise


@contextmanager
def _bounded(connection: Connection, dialect: str, seconds: float) -> Iterator[None]:
    match dialect:
        case "postgresql":  # ends with the transaction
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
            yield
        case "mysql":
            name, limit = _limit_of_mysql(connection, seconds)
            connection.exec_driver_sql(f"SET SESSION {name} = {limit}")
            yield
            connection.exec_driver_sql(f"SET SESSION {name} = DEFAULT")
        case _:
            raw: Any = connection.connection.dbapi_connection
            until = time.monotonic() + seconds
            raw.set_progress_handler(lambda: time.monotonic() > until, OPCODES)
            try:
                yield
            finally:
                raw.set_progress_handler(None, 0)


def _limit_of_mysql(connection: Connection, seconds: float) -> tuple[str, float]:
    """MariaDB and MySQL have it under different names, and in different units."""
    if getattr(connection.dialect, "is_mariadb", False):
        return "max_statement_time", seconds
    return "max_execution_time", int(seconds * 1000)
