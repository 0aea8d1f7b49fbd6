"""What the barrier needs from a database connection, and how a SQLAlchemy session or connection gives it.

The protocol is narrow on purpose: whoever can compile a SQLAlchemy statement and run it can stand behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from sqlalchemy import event, exc
from sqlalchemy.engine import Connection, CursorResult, Engine
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import Executable

from saga_celery.errors import BarrierMisused
from saga_celery.store.barrier.table import saga_barrier
from saga_celery.store.faults import given_up, lost, no_table


class BarrierConnection(Protocol):
    """A database connection whose transaction the barrier owns."""

    @property
    def dialect(self) -> str:
        """SQLAlchemy's name of the database."""
        ...

    @property
    def place(self) -> str:
        """Which database it is, for this process."""
        ...

    def beside(self) -> AbstractContextManager[BarrierConnection]:
        """A connection to the same database that is in no transaction, for as long as the block lasts."""
        ...

    def require_idle(self) -> None:
        """Refuse to stand in somebody else's transaction.

        Raises:
            BarrierMisused: there is one.
        """
        ...

    def begin(self) -> None:
        """Begin a transaction.

        Raises:
            BarrierMisused: the connection commits each statement by itself.
        """
        ...

    def change(self, statement: Executable) -> int:
        """Run a statement; the number of rows that it changed."""
        ...

    def first(self, statement: Executable) -> Sequence[Any] | None:
        """Run a query; its first row."""
        ...

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what is done inside when an exception leaves it."""
        ...

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Refuse a commit by anybody else."""
        ...

    def commit(self) -> None:
        """Commit the transaction."""
        ...

    def rollback(self) -> None:
        """Roll the transaction back; also where it is gone already."""
        ...

    def given_up(self, failure: BaseException) -> bool:
        """Tell that a new transaction may succeed: serialization failure, deadlock, lock timeout, busy database."""
        ...

    def lost(self, failure: BaseException) -> bool:
        """Tell that the connection broke, so that nobody knows what the database did last."""
        ...

    def has_no_table(self, failure: BaseException) -> bool:
        """Tell that the barrier's own table is missing, or lacks a column."""
        ...


class SQLAlchemyConnection:
    """A session of the ORM, or a plain connection.

    Args:
        target: must not be in a transaction.
    """

    def __init__(self, target: Session | Connection) -> None:
        self._target = target

    @property
    def dialect(self) -> str:
        """SQLAlchemy's name of the database."""
        return self._connection.dialect.name

    @property
    def place(self) -> str:
        """Which database it is, for this process."""
        return str(self._bind.engine.url)

    @contextmanager
    def beside(self) -> Iterator[SQLAlchemyConnection]:
        """Another connection: the task's session may be closed, or in a transaction of the task's."""
        with self._bind.engine.connect() as connection:
            yield SQLAlchemyConnection(connection)

    def require_idle(self) -> None:
        """Refuse to stand in somebody else's transaction."""
        if self._target.in_transaction():
            raise BarrierMisused(
                "the session is in a transaction already, whose work a copy of this message would commit again: "
                "do everything inside the barrier, with a fresh session"
            )

    def begin(self) -> None:
        """Begin a transaction; on SQLite one that takes the write lock at once, where it can still be waited for."""
        self._target.begin()
        if _commits_by_itself(self._connection):
            raise BarrierMisused("the connection is in AUTOCOMMIT, where nothing can be rolled back")

    def change(self, statement: Executable) -> int:
        """Run a statement; the number of rows that it changed."""
        result = self._target.execute(statement, execution_options={"preserve_rowcount": True})
        assert isinstance(result, CursorResult)  # noqa: S101 - these statements return no rows
        return result.rowcount

    def first(self, statement: Executable) -> Sequence[Any] | None:
        """Run a query; its first row."""
        return self._target.execute(statement).first()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what is done inside when an exception leaves it."""
        with self._target.begin_nested():
            yield

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Refuse a commit by anybody else: it would part the effect from its record."""
        name, refuse = (
            ("before_commit", _refuse_session) if isinstance(self._target, Session) else ("commit", _refuse_connection)
        )
        event.listen(self._target, name, refuse)
        try:
            yield
        finally:
            event.remove(self._target, name, refuse)

    def commit(self) -> None:
        """Commit the transaction."""
        self._target.commit()

    def rollback(self) -> None:
        """Roll the transaction back; also where it is gone already."""
        self._target.rollback()

    def given_up(self, failure: BaseException) -> bool:
        """Tell that a new transaction may succeed."""
        return any(given_up(cause) for cause in _database_causes(failure))

    def lost(self, failure: BaseException) -> bool:
        """Tell that the connection broke."""
        return any(lost(cause) for cause in _database_causes(failure))

    def has_no_table(self, failure: BaseException) -> bool:
        """Tell that the barrier's own table is missing, or lacks a column."""
        ours = isinstance(failure, exc.DBAPIError) and saga_barrier.name in (failure.statement or "")
        return ours and any(no_table(cause) for cause in _database_causes(failure))

    @property
    def _bind(self) -> Engine | Connection:
        return self._target.get_bind() if isinstance(self._target, Session) else self._target

    @property
    def _connection(self) -> Connection:
        return self._target.connection() if isinstance(self._target, Session) else self._target


def _commits_by_itself(connection: Connection) -> bool:
    raw: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "sqlite":
        if not raw.in_transaction:  # Python's driver would begin at the first write, and only if it were told to
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        return getattr(raw, "autocommit", None) is True
    detect = getattr(connection.dialect, "detect_autocommit_setting", None)  # SQLAlchemy 2.0.43
    return bool(detect is not None and detect(raw))


def _refuse_session(session: Session) -> None:
    if not session.in_nested_transaction():  # released savepoints are told of as well
        _refuse_connection(session)


def _refuse_connection(_target: Session | Connection) -> None:
    raise BarrierMisused("the barrier owns the commit: remove the commit() from the code inside it")


def _database_causes(failure: BaseException | None) -> Iterator[exc.DBAPIError]:
    """The failure itself and what it was raised from: repositories like to wrap errors."""
    while failure is not None:
        if isinstance(failure, exc.DBAPIError):
            yield failure
        failure = failure.__cause__
