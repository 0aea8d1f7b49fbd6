"""The version of the tables: which one is there, and whether it fits this release.

Every process asks that before it touches the tables, so it is answered without Alembic, whose import would cost each of
them more than the question. Making the tables is `migrate`'s, which alone needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pkgutil import iter_modules

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from saga_celery.errors import SchemaOutOfDate, StoreUnavailable
from saga_celery.store.connections import Connections
from saga_celery.store.executors import Executor
from saga_celery.store.faults import MIGRATE
from saga_celery.store.migrations import versions

VERSION_TABLE = "saga_schema_version"
LOCK = 7_242_300_117
"""PostgreSQL's advisory locks are numbers; this one is ours."""
LOCK_SECONDS = 300

_number = sa.select(sa.column("version_num", sa.String)).select_from(sa.table(VERSION_TABLE))


def pending(connections: Connections) -> bool:
    """Tell whether `migrate` has something to do."""
    with connections.autocommit() as connection:
        return revision_of(connection) != head()


def check(connections: Connections) -> None:
    """Refuse tables that do not fit this release.

    Raises:
        SchemaOutOfDate: they are missing, older, or newer; says what to run.
        StoreUnavailable: the database does not answer.
    """
    with connections.autocommit() as connection:
        found = revision_of(connection)
    _refuse_unfit(found)


def check_through(executor: Executor) -> None:
    """The same, asked through a connection of the caller's.

    Args:
        executor: within a transaction that may be rolled back to where it is now.

    Raises:
        SchemaOutOfDate: they are missing, older, or newer; says what to run.
        StoreUnavailable: the database does not answer.
    """
    rows = executor.read(_number)
    _refuse_unfit(rows[0][0] if rows else None)


def head() -> str:
    """The version of the tables that this release works with."""
    return known()[-1]


@cache
def known() -> tuple[str, ...]:
    """All versions that this release knows, oldest first: the numbers that the files of the migrations begin with."""
    return tuple(sorted(module.name.partition("_")[0] for module in iter_modules(versions.__path__)))


def revision_of(connection: Connection) -> str | None:
    """The version of the tables; None: there are none."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(_number).scalar()


def refuse_newer(found: str | None) -> None:
    """Refuse tables that a newer release has made.

    Raises:
        SchemaOutOfDate: they are newer than this release.
    """
    if found is not None and found not in known():
        raise SchemaOutOfDate(
            f"the saga database is at version {found}, which this release ({head()}) does not know: a newer one has "
            "been here; upgrade saga_celery on this machine"
        )


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """Hold a lock of the whole database. SQLite's is the transaction itself; PostgreSQL's ends with the transaction."""
    match connection.dialect.name:
        case "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            yield
        case "mysql" | "mariadb":
            name = {"name": VERSION_TABLE, "seconds": LOCK_SECONDS}
            if not connection.execute(sa.text("SELECT GET_LOCK(:name, :seconds)"), name).scalar_one():
                raise StoreUnavailable(f"another migration has been running for {LOCK_SECONDS} s")
            try:
                yield
            finally:
                connection.execute(sa.text("SELECT RELEASE_LOCK(:name)"), {"name": VERSION_TABLE})
        case _:
            yield


def _refuse_unfit(found: str | None) -> None:
    if found is None:
        raise SchemaOutOfDate(f"the saga database has no tables of saga_celery yet; run: {MIGRATE}")
    refuse_newer(found)
    if found != head():
        raise SchemaOutOfDate(f"the saga database is at version {found}, this release needs {head()}; run: {MIGRATE}")
