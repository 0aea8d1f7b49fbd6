"""Bringing the barrier's table to this release's form, in a database that belongs to a participant.

There is no table of versions: the columns tell. A participant may as well make the table with its own migrations
(`barrier_metadata`), and a second opinion about the version would then only contradict the first.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateIndex, CreateTable

from saga_celery.errors import SchemaOutOfDate
from saga_celery.store.barrier.table import barrier_metadata, saga_barrier
from saga_celery.store.connections import Connections
from saga_celery.store.faults import MIGRATE_BARRIER
from saga_celery.store.version import alone


def migrate_barrier(connections: Connections) -> bool:
    """Create the table, or add what this release needs; what is in it stays. Runs at the same time take turns.

    Columns that this release does not know are left alone: services of several releases may share a database.

    Args:
        connections: to the participant's database.

    Returns:
        False when there was nothing to do.

    Raises:
        SchemaOutOfDate: there is a table of this name that can not be brought to this form.
        StoreUnavailable: the database does not answer, or another run holds the lock for too long.
    """
    with connections.transaction() as connection, alone(connection):
        if not _exists(connection):
            barrier_metadata.create_all(connection)
            return True
        _refuse_foreign(connection)
        columns, indexes = _missing_columns(connection), _missing_indexes(connection)
        change = Operations(MigrationContext.configure(connection))
        for column in columns:
            change.add_column(saga_barrier.name, sa.Column(column.name, column.type))
        for index in indexes:
            index.create(connection)
        return bool(columns or indexes)


def check_barrier(connections: Connections) -> None:
    """Refuse a table that does not fit this release.

    Args:
        connections: to the participant's database.

    Raises:
        SchemaOutOfDate: it is missing, or lacks something; says what to run.
        StoreUnavailable: the database does not answer.
    """
    with connections.autocommit() as connection:
        if not _exists(connection):
            raise SchemaOutOfDate(f"this database has no table {saga_barrier.name} yet; run: {MIGRATE_BARRIER}")
        _refuse_foreign(connection)
        missing = [column.name for column in _missing_columns(connection)]
        missing += [str(index.name) for index in _missing_indexes(connection)]
    if missing:
        raise SchemaOutOfDate(f"table {saga_barrier.name} lacks {', '.join(missing)}; run: {MIGRATE_BARRIER}")


def barrier_sql(dialect: sa.Dialect) -> str:
    """The statements that create the table, for whoever may not let programs do it.

    Args:
        dialect: whose SQL.
    """
    made: list[sa.schema.ExecutableDDLElement] = [CreateTable(saga_barrier), *map(CreateIndex, saga_barrier.indexes)]
    return "".join(f"{str(each.compile(dialect=dialect)).strip()};\n" for each in made)


# -------------------------------------------------------------------------------------------------------------- common


def _exists(connection: Connection) -> bool:
    return sa.inspect(connection).has_table(saga_barrier.name)


def _refuse_foreign(connection: Connection) -> None:
    """What can not be added later: the key, and columns that must not be empty."""
    inspector = sa.inspect(connection)
    found = {column["name"] for column in inspector.get_columns(saga_barrier.name)}
    key = set(inspector.get_pk_constraint(saga_barrier.name)["constrained_columns"])
    needed = {column.name for column in saga_barrier.columns if not column.nullable}
    if needed - found or key != set(saga_barrier.primary_key.columns.keys()):
        raise SchemaOutOfDate(
            f"there is a table {saga_barrier.name} of another make, with the columns {', '.join(sorted(found))}: "
            "rename it, or use another database for the barrier"
        )


def _missing_columns(connection: Connection) -> list[sa.Column[object]]:
    found = {column["name"] for column in sa.inspect(connection).get_columns(saga_barrier.name)}
    return [column for column in saga_barrier.columns if column.name not in found]


def _missing_indexes(connection: Connection) -> list[sa.Index]:
    found = {index["name"] for index in sa.inspect(connection).get_indexes(saga_barrier.name)}
    return [index for index in saga_barrier.indexes if index.name not in found]
