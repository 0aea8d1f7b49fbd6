"""Where statements of a start go to: the narrow seam between this store and a caller's own connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from saga_celery.store.faults import translated

Row = dict[str, Any]


@runtime_checkable
class Executor(Protocol):
    """Executes statements within an open transaction that is not ours to end."""

    @property
    def dialect(self) -> str:
        """`postgresql`, `mysql` (MariaDB too) or `sqlite`."""
        ...

    def write(self, statement: sa.Executable, rows: Sequence[Row]) -> int:
        """Execute once for each row of parameters; return how many rows the last one changed."""
        ...

    def read(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        """Read rows."""
        ...


class ConnectionExecutor:
    """Statements on an SQLAlchemy connection.

    Args:
        connection: one with an open transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def dialect(self) -> str:
        """`postgresql`, `mysql` (MariaDB too) or `sqlite`."""
        name = self._connection.dialect.name
        return "mysql" if name == "mariadb" else name

    def write(self, statement: sa.Executable, rows: Sequence[Row]) -> int:
        """Execute once for each row of parameters; return how many rows were changed."""
        with translated():
            parameters: Any = rows[0] if len(rows) == 1 else rows
            return self._connection.execute(statement, parameters).rowcount

    def read(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        """Read rows."""
        with translated():
            return self._connection.execute(statement).all()
