"""A service's own database: how it is opened, and how a transaction is run to its end."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from functools import cache
from typing import TypeVar

from sqlalchemy import Connection, Engine, Table, create_engine, event, insert, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from workers.settings import settings

T = TypeVar("T")

TRIES = 10
LONGEST_PAUSE = 0.5
BUSY_TIMEOUT_MS = 20_000

SERIALIZATION_FAILURES = {"40001", "40P01"}
MARIADB_CONFLICTS = {1020, 1205, 1213}
SQLITE_CONFLICTS = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class Contended(Exception):
    """Another transaction holds what this one needs; a new transaction will see its outcome."""


@cache
def service_engine(service: str) -> Engine:
    """The engine of `service` in this process, opened at the first task: connections must not cross a fork."""
    return open_engine(settings().service_database_url(service))


def open_engine(url: str) -> Engine:
    """An engine for short writing transactions on SQLite, PostgreSQL or MariaDB."""
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, isolation_level="READ COMMITTED", pool_pre_ping=True)
    engine = create_engine(url)
    event.listen(engine, "connect", _prepare_sqlite)
    # The driver's own BEGIN is deferred: two readers that both turn writers would fail instead of waiting.
    event.listen(engine, "begin", _begin_immediate)
    return engine


def transact(engine: Engine, work: Callable[[Connection], T]) -> T:
    """Run `work` in one transaction; run it again in a new one when the database names a conflict."""
    for attempt in range(1, TRIES):
        try:
            with engine.begin() as connection:
                return work(connection)
        except (DBAPIError, Contended) as error:
            if not is_conflict(error):
                raise
        time.sleep(min(LONGEST_PAUSE, 0.005 * 2**attempt))
    with engine.begin() as connection:
        return work(connection)


def insert_row(connection: Connection, into: Table, **values: object) -> int:
    """Insert a row, and answer the id that the database gave it."""
    identity = connection.execute(insert(into).values(**values)).inserted_primary_key
    if identity is None:
        raise LookupError(f"{into.name} has no id")
    return int(identity[0])


def is_conflict(error: DBAPIError | Contended) -> bool:
    """Whether a new transaction may succeed where this one failed: deadlock, serialization failure, busy database."""
    if isinstance(error, Contended):
        return True
    cause = error.orig
    if isinstance(cause, sqlite3.OperationalError):
        return cause.sqlite_errorcode & 0xFF in SQLITE_CONFLICTS
    if getattr(cause, "sqlstate", None) in SERIALIZATION_FAILURES:
        return True
    return bool(cause and cause.args and cause.args[0] in MARIADB_CONFLICTS)


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # BEGIN is ours to say, below
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
