"""Django's own connection: SQLAlchemy only writes the statements, Django's cursor runs them.

So what is written here and what the models write are in one transaction, and Django's tools see it all. Nothing here
imports Django before a connection of its comes along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, Protocol, TypeGuard

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement

from saga_celery.store.columns import UtcTime

DIALECTS = {
    # That of psycopg 3 casts every parameter, so that also the server can bind them.
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql",
    "sqlite": "sqlite",
}
"""SQLAlchemy's names by Django's word for the database, which is `mysql` for MariaDB too."""

Row = Mapping[str, Any]


class DjangoDatabase(Protocol):
    """What is used of `django.db.connection`, or of one of `django.db.connections`."""

    alias: str
    vendor: str
    in_atomic_block: bool
    closed_in_transaction: bool
    needs_rollback: bool

    def cursor(self) -> Any:
        """A cursor that takes `%s` for every database."""
        ...

    def get_autocommit(self) -> bool:
        """True outside of any transaction."""
        ...


def is_django(target: object) -> TypeGuard[DjangoDatabase]:
    """Tell Django's connections, and the proxy that `django.db.connection` is, by what they have."""
    return all(hasattr(target, name) for name in ("vendor", "alias", "in_atomic_block", "get_autocommit"))


@cache
def dialect_of(vendor: str) -> Dialect:
    """What writes the SQL of a database, with Django's `%s` for a parameter.

    Args:
        vendor: one of `DIALECTS`.
    """
    make: Callable[..., Dialect] = sa.make_url(f"{DIALECTS[vendor]}://").get_dialect()
    return make(paramstyle="format")


class DjangoCursors:
    """Runs SQLAlchemy's statements on the cursors of a connection of Django.

    Args:
        database: the connection; its vendor is one of `DIALECTS`.
    """

    def __init__(self, database: DjangoDatabase) -> None:
        self._database = database
        self._sql = dialect_of(database.vendor)

    def change(self, statement: Executable, rows: Sequence[Row] = ({},)) -> int:
        """Run a statement, once for each row of parameters; the number of rows that it changed.

        Args:
            statement: writes.
            rows: at least one; all of them have the same names.
        """
        compiled = self._compiled(statement, rows[0])
        parameters = [self._parameters(compiled, row) for row in rows]
        with self._database.cursor() as cursor:
            if len(parameters) == 1:
                cursor.execute(str(compiled), parameters[0])
            else:
                cursor.executemany(str(compiled), parameters)
            return int(cursor.rowcount)

    def first(self, statement: Executable) -> Sequence[Any] | None:
        """Run a query; its first row."""
        with self._asked(statement) as (cursor, compiled):
            row = cursor.fetchone()
        return None if row is None else self._row(row, compiled)

    def all(self, statement: Executable) -> list[Sequence[Any]]:
        """Run a query; its rows."""
        with self._asked(statement) as (cursor, compiled):
            rows = cursor.fetchall()
        return [self._row(row, compiled) for row in rows]

    # ------------------------------------------------------------------------------------------------------- statements

    @contextmanager
    def _asked(self, query: Executable) -> Iterator[tuple[Any, SQLCompiler]]:
        compiled = self._compiled(self._in_utc(query), {})
        with self._database.cursor() as cursor:
            cursor.execute(str(compiled), self._parameters(compiled, {}))
            yield cursor, compiled

    def _compiled(self, statement: Executable, row: Row) -> SQLCompiler:
        """The text, with a place for each value of a list."""
        compiled: SQLCompiler = statement.compile(  # type: ignore[attr-defined]
            dialect=self._sql, column_keys=list(row) or None, compile_kwargs={"render_postcompile": True}
        )
        return compiled

    def _parameters(self, compiled: SQLCompiler, row: Row) -> tuple[Any, ...]:
        values = compiled.construct_params(dict(row))
        return tuple(self._bound(_type_of(name, compiled), values[name]) for name in compiled.positiontup or ())

    def _bound(self, kind: sa.types.TypeEngine[Any], value: Any) -> Any:
        process = kind.dialect_impl(self._sql).bind_processor(self._sql)
        return value if process is None else process(value)

    # ------------------------------------------------------------------------------------------------------------- rows

    def _in_utc(self, query: Executable) -> Executable:
        """On PostgreSQL Django gives times in a zone of its own; without `USE_TZ` they do not even say in which."""
        if not (isinstance(query, sa.Select) and self._sql.name == "postgresql"):
            return query
        return query.with_only_columns(
            *(_without_zone(each) if isinstance(each.type, UtcTime) else each for each in query.selected_columns)
        )

    def _row(self, row: Sequence[Any], compiled: SQLCompiler) -> list[Any]:
        """Django's adapters have converted already, each in its way: times and flags have to be made alike."""
        columns = compiled.statement.selected_columns  # type: ignore[union-attr]
        return [self._alike(value, each.type) for value, each in zip(row, columns, strict=True)]

    def _alike(self, value: Any, kind: sa.types.TypeEngine[Any]) -> Any:
        if value is not None and isinstance(kind, sa.Boolean):
            return bool(value)
        return self._time(value) if isinstance(kind, UtcTime) else value

    def _time(self, value: datetime | str | None) -> datetime | None:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        return UtcTime().process_result_value(value, self._sql)


def _without_zone(time: ColumnElement[Any]) -> ColumnElement[Any]:
    return sa.type_coerce(sa.func.timezone(sa.literal_column("'UTC'"), time), UtcTime())


def _type_of(name: str, compiled: SQLCompiler) -> sa.types.TypeEngine[Any]:
    """Of a parameter; those of a list have names that end with their number."""
    bind = compiled.binds.get(name)
    return (compiled.binds[name.rpartition("_")[0]] if bind is None else bind).type


def causes(failure: BaseException | None) -> Iterator[BaseException]:
    """The failure, and what it was raised from: Django's errors are raised from those of the driver."""
    while failure is not None:
        yield failure
        failure = failure.__cause__
