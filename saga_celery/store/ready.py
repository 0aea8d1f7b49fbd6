"""Statements of SQLAlchemy, put into words once, for the driver to take as they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from saga_celery.store.cursors import Cursor

Compilable = sa.Select[Any] | sa.Insert | sa.Update | sa.Delete


class Ready:
    """A statement that is put into words when it is first needed.

    Args:
        statement: all executions of it have parameters of the same names, and of no other types than JSON has.
        dialect: of the database; its driver takes parameters by their names or by their places.
    """

    def __init__(self, statement: Compilable, dialect: Dialect) -> None:
        self._statement = statement
        self._dialect = dialect
        self._text = ""
        self._own: Mapping[str, Any] = {}
        self._places: Sequence[str] | None = None

    def once(self, cursor: Cursor, row: Mapping[str, Any]) -> int:
        """Execute it with these parameters; returns how many rows that changed."""
        if not self._text:
            self._put_into_words(row)
        cursor.execute(self._text, self._ordered(row))
        return cursor.rowcount

    def each(self, cursor: Cursor, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it for each row of parameters; not at all when there is none."""
        if not rows:
            return
        if not self._text:
            self._put_into_words(rows[0])
        cursor.executemany(self._text, [self._ordered(row) for row in rows])

    def _put_into_words(self, names: Collection[str]) -> None:
        compiled: Any = self._statement.compile(dialect=self._dialect, column_keys=list(names))
        own = {name: bound for name, bound in compiled.binds.items() if name not in names}
        self._own = {name: _plain(bound, self._dialect) for name, bound in own.items()}
        self._places = compiled.positiontup
        self._text = str(compiled)

    def _ordered(self, row: Mapping[str, Any]) -> Mapping[str, Any] | tuple[Any, ...]:
        given = {**self._own, **row} if self._own else row
        return given if self._places is None else tuple(map(given.__getitem__, self._places))


def _plain(bound: sa.BindParameter[Any], dialect: Dialect) -> Any:
    """What a statement brings along itself, as the driver takes it."""
    process = bound.type.dialect_impl(dialect).bind_processor(dialect)
    return bound.effective_value if process is None else process(bound.effective_value)
