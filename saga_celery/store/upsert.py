"""Insert, or else update or leave alone: the three databases spell it in two ways.

Each dialect is imported where it is used: with its drivers it takes time, and a process uses one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql.dml import Insert

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


def upsert(dialect: str, table: sa.Table, values: Mapping[str, Any], updated: Sequence[str]) -> Insert:
    """Insert rows; those that are there already get the new values of some columns.

    Args:
        dialect: `postgresql`, `mysql` or `sqlite`.
        table: the table, whose primary key tells rows apart.
        values: the columns that are expressions.
        updated: names of the columns that an existing row takes over.
    """
    if dialect == "mysql":
        from sqlalchemy.dialects.mysql import insert as insert_mysql

        statement = insert_mysql(table).values(**values)
        return statement.on_duplicate_key_update({name: statement.inserted[name] for name in updated})
    other = _with_conflicts(dialect, table).values(**values)
    return other.on_conflict_do_update(
        index_elements=list(table.primary_key.columns), set_={name: other.excluded[name] for name in updated}
    )


def insert_if_absent(dialect: str, table: sa.Table) -> Insert:
    """Insert rows; those that are there already stay as they are.

    MariaDB's `INSERT IGNORE` would swallow other errors as well, so there a row is updated to what it is.
    """
    if dialect == "mysql":
        from sqlalchemy.dialects.mysql import insert as insert_mysql

        first = next(iter(table.primary_key.columns))
        return insert_mysql(table).on_duplicate_key_update({first.name: first})
    return _with_conflicts(dialect, table).on_conflict_do_nothing()


def _with_conflicts(dialect: str, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """The insert of the two databases that have `ON CONFLICT`."""
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_postgresql

        return insert_postgresql(table)
    from sqlalchemy.dialects.sqlite import insert as insert_sqlite

    return insert_sqlite(table)
