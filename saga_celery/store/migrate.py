"""Creating and changing the tables, and telling whether they fit this release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import StringIO
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy.engine import Connection

from saga_celery.errors import SchemaOutOfDate, StoreUnavailable
from saga_celery.store.connections import Connections
from saga_celery.store.executors import Executor
from saga_celery.store.faults import MIGRATE

VERSION_TABLE = "saga_schema_version"
LOCK = 7_242_300_117
"""PostgreSQL's advisory locks are numbers; this one is ours."""
LOCK_SECONDS = 300


def migrate(connections: Connections) -> None:
    """Bring the tables to this release's form. Runs at the same time take turns, and all but the first find it done.

    Raises:
        SchemaOutOfDate: the tables are newer than this release.
        StoreUnavailable: the database does not answer, or another run holds the lock for too long.
    """
    with connections.transaction() as connection, alone(connection):
        _refuse_newer(revision_of(connection))
        command.upgrade(_config(connection=connection), "head")


def sql(dialect: str) -> str:
    """The statements that create the tables, for whoever may not let programs do it.

    Args:
        dialect: `postgresql`, `mysql` or `sqlite`.
    """
    output = StringIO()
    command.upgrade(_config(output_buffer=output, dialect=dialect), "head", sql=True)
    return output.getvalue()


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
    rows = executor.read(sa.select(sa.column("version_num", sa.String)).select_from(sa.table(VERSION_TABLE)))
    _refuse_unfit(rows[0][0] if rows else None)


def head() -> str:
    """The version of the tables that this release works with."""
    return _script().get_current_head() or ""


def steps(since: str | None, until: str) -> list[Script]:
    """What leads from one version of the tables to another, in this order; nothing when they are that far already.

    Args:
        since: the version that they have; None: there are none.
        until: the version that they shall have.

    Raises:
        SchemaOutOfDate: they are newer than this release.
    """
    known = list(reversed([*_script().walk_revisions()]))
    numbers = [step.revision for step in known]
    if since is not None and since not in numbers:
        raise SchemaOutOfDate(_newer(since))
    first = 0 if since is None else numbers.index(since) + 1
    return known[first : numbers.index(until) + 1]


def revision_of(connection: Connection) -> str | None:
    """The version of the tables; None: there are none."""
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


# -------------------------------------------------------------------------------------------------------------- common


def _refuse_unfit(found: str | None) -> None:
    if found is None:
        raise SchemaOutOfDate(f"the saga database has no tables of saga_celery yet; run: {MIGRATE}")
    _refuse_newer(found)
    if found != head():
        raise SchemaOutOfDate(f"the saga database is at version {found}, this release needs {head()}; run: {MIGRATE}")


def _refuse_newer(found: str | None) -> None:
    if found is not None and found not in {script.revision for script in _script().walk_revisions()}:
        raise SchemaOutOfDate(_newer(found))


def _newer(found: str) -> str:
    return (
        f"the saga database is at version {found}, which this release ({head()}) does not know: a newer one has been "
        "here; upgrade saga_celery on this machine"
    )


def _config(output_buffer: StringIO | None = None, **attributes: Any) -> Config:
    config = Config(output_buffer=output_buffer) if output_buffer is not None else Config()
    config.set_main_option("script_location", "saga_celery.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes.update(attributes)
    return config


@cache
def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


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
