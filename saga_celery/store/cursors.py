"""Statements whose text is ready, handed to the driver itself.

What SQLAlchemy does for each execution costs this process more than the database takes to carry a small statement out;
so the statements of a transition, which are put together once, go round it. Where somebody listens to the statements of
the engine, as tracing does, they go through it all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import exc
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import PoolProxiedConnection

Parameters = Mapping[str, Any] | Sequence[Any]


class Cursor(Protocol):
    """As much of a driver's cursor as a transition needs."""

    rowcount: int

    def execute(self, statement: str, parameters: Any = ..., /) -> Any:
        """Execute a statement, in the driver's own style of parameters."""
        ...

    def executemany(self, statement: str, rows: Any, /) -> Any:
        """Execute a statement for each row of parameters."""
        ...

    def fetchall(self) -> Sequence[Any]:
        """The rows of the latest statement."""
        ...


class ListenedCursor:
    """The same by way of SQLAlchemy, whose listeners see each statement.

    Args:
        connection: what executes them.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: Sequence[Any] = ()
        self.rowcount = -1

    def execute(self, statement: str, parameters: Parameters = (), /) -> None:
        """Execute a statement."""
        given: Any = parameters if isinstance(parameters, Mapping) else tuple(parameters)
        self._note(statement, given)

    def executemany(self, statement: str, rows: Sequence[Parameters], /) -> None:
        """Execute a statement for each row of parameters."""
        self._note(statement, list(rows))

    def fetchall(self) -> Sequence[Any]:
        """The rows of the latest statement."""
        return self._rows

    def _note(self, statement: str, parameters: Any) -> None:
        result = self._connection.exec_driver_sql(statement, parameters or None)
        self.rowcount = result.rowcount
        self._rows = result.all() if result.returns_rows else ()


def is_listened_to(engine: Engine) -> bool:
    """Tell whether anybody wants to see the statements."""
    heard: Any = engine.dispatch
    return bool(heard.before_cursor_execute) or bool(heard.after_cursor_execute)


@contextmanager
def straight(engine: Engine, begin: str | None) -> Iterator[Cursor]:
    """The driver's cursor, on a connection of the pool that commits each statement by itself.

    Args:
        engine: whose pool.
        begin: begins a transaction that is committed at the end, and rolled back by any exception; None: none is.

    Raises:
        DBAPIError: the driver's error, as SQLAlchemy would raise it.
    """
    failures = engine.dialect.loaded_dbapi.Error
    loan: PoolProxiedConnection | None = None
    try:
        loan = engine.raw_connection()
        cursor: Any = loan.cursor()
        if begin is not None:
            cursor.execute(begin)
        yield cursor
        cursor.close()
        if begin is not None:
            engine.dialect.do_commit(loan)
    except BaseException as failure:
        gone = isinstance(failure, failures) and _is_gone(engine, loan, failure)
        if loan is not None:
            _give_back(loan, failure, usable=not gone and _is_usable(loan, failure, failures, begin))
        if gone:
            engine.dispose()  # what else is in the pool goes to the same server
        if isinstance(failure, failures):
            raise _as_sqlalchemy_does(engine, failure, gone) from failure
        raise
    loan.close()


def _is_gone(engine: Engine, loan: PoolProxiedConnection | None, failure: Any) -> bool:
    connection: Any = None if loan is None else loan.dbapi_connection
    return engine.dialect.is_disconnect(failure, connection, None)


def _is_usable(loan: PoolProxiedConnection, failure: BaseException, failures: type[Exception], begin: Any) -> bool:
    """Tell whether a connection is at rest: not so if it was interrupted while the server had the word."""
    if begin is None:
        return isinstance(failure, failures)
    if not isinstance(failure, Exception):
        return False
    try:
        loan.rollback()
    except failures:
        return False
    return True


def _give_back(loan: PoolProxiedConnection, failure: BaseException, *, usable: bool) -> None:
    if usable:
        loan.close()
    else:
        loan.invalidate(failure)


def _as_sqlalchemy_does(engine: Engine, failure: Any, gone: bool) -> BaseException:
    """Neither statement nor parameters: those hold what sagas are about, and errors are logged."""
    found: BaseException = exc.DBAPIError.instance(
        None, None, failure, engine.dialect.loaded_dbapi.Error, connection_invalidated=gone, dialect=engine.dialect
    )
    return found
