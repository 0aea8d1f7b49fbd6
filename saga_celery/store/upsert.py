"""Insert, or else update or leave alone: the three databases spell it in two ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.sql.dml import Insert


def upsert(dialect: str, table: sa.Table, values: Mapping[str, Any], updated: Sequence[str]) -> Insert:
    """Insert rows; those that are there already get the new values of some columns.

    Args:
        dialect: `postgresql`, `mysql` or `sqlite`.
        table: the table, whose primary key tells rows apart.
        values: the columns that are expressions.
        updated: names of the columns that an existing row takes over.
    """
    if dialect == "mysql":
        statement = mysql.insert(table).values(**values)
        return statement.on_duplicate_key_update({name: statement.inserted[name] for name in updated})
    other = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    other = other.values(**values)
    return other.on_conflict_do_update(
        index_elements=list(table.primary_key.columns), set_={name: other.excluded[name] for name in updated}
    )


def insert_if_absent(dialect: str, table: sa.Table) -> Insert:
    """Insert rows; those that are there already stay as they are.

    MariaDB's `INSERT IGNORE` would swallow other errors as well, so there a row is updated to what it is.
    """
    if dialect == "mysql":
        first = next(iter(table.primary_key.columns))
        return mysql.insert(table).on_duplicate_key_update({first.name: first})
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()
