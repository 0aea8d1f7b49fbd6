"""Django's own connection behind the barrier.

So the barrier's row and what the models write are in one transaction, `on_commit` works, and Django's tools see it all.
Nothing here imports Django before a connection of its comes along.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy.sql.base import Executable

from saga_celery.errors import BarrierMisused
from saga_celery.store.django import DIALECTS, DjangoCursors, DjangoDatabase, causes
from saga_celery.store.faults import code_of, is_given_up, is_no_table

_BROKEN = {1927, 2002, 2003, 2006, 2013, 2014, 2045, 2055, 4031}
"""MariaDB's numbers for a connection that is gone, as SQLAlchemy knows them; and for one that can not be made.

After a commit that failed Django connects again, and the failure of that hides the other one.
"""
_BROKEN_CLASSES = ("08", "57P")
"""PostgreSQL's: connection exceptions, and a server that shuts down."""

_WITHOUT_CODE = ("OperationalError", "InterfaceError")


class DjangoConnection:
    """Meets `BarrierConnection` with a connection of Django.

    Args:
        database: must be in no `atomic` block, and in autocommit, as Django's connections are by default.
    """

    def __init__(self, database: DjangoDatabase) -> None:
        if database.vendor not in DIALECTS:
            raise BarrierMisused(f"no barrier is known for {database.vendor}; it knows {', '.join(DIALECTS)}")
        self._database = database
        self._cursors = DjangoCursors(database)
        self._block: AbstractContextManager[Any] | None = None
        self._failed: BaseException | None = None

    @property
    def dialect(self) -> str:
        """SQLAlchemy's name of the database."""
        return self._database.vendor

    @property
    def place(self) -> str:
        """Which database it is, for this process."""
        return f"django:{self._database.alias}"

    @contextmanager
    def beside(self) -> Iterator[DjangoConnection]:
        """The same connection: the task's `atomic` blocks are over when its failure is told of."""
        yield DjangoConnection(self._database)

    def require_idle(self) -> None:
        """Refuse to stand in somebody else's transaction."""
        if self._database.in_atomic_block:
            raise BarrierMisused(
                "the connection is in an atomic block already (a view's, with ATOMIC_REQUESTS, or that of Django's "
                "TestCase), whose work a copy of this message would commit again: do everything inside the barrier; "
                "in tests use TransactionTestCase"
            )
        if not self._database.get_autocommit():
            raise BarrierMisused("the connection's autocommit is off: the barrier begins and commits by itself")

    def begin(self) -> None:
        """Begin a transaction. On SQLite its first statement takes the write lock, where it can still be waited for."""
        block = atomic(self._database.alias)
        block.__enter__()
        self._block = block

    def change(self, statement: Executable) -> int:
        """Run a statement; the number of rows that it changed."""
        with self._own():
            return self._cursors.change(statement)

    def first(self, statement: Executable) -> Sequence[Any] | None:
        """Run a query; its first row."""
        with self._own():
            return self._cursors.first(statement)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what is done inside when an exception leaves it."""
        with atomic(self._database.alias):
            yield

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Django itself refuses a commit and a rollback within an atomic block."""
        yield

    def commit(self) -> None:
        """Commit the transaction."""
        self._require_open()
        if self._database.needs_rollback:  # the end of the block would roll back, and say nothing
            raise BarrierMisused(
                "the transaction is marked for rollback, by set_rollback() or by an error that left an atomic block "
                "without a savepoint and was caught: let it leave the barrier"
            )
        block, self._block = self._block, None
        if block is not None:
            block.__exit__(None, None, None)

    def rollback(self) -> None:
        """Roll the transaction back; also where it is gone already."""
        block, self._block = self._block, None
        if block is not None:
            undone = _RolledBack()
            block.__exit__(_RolledBack, undone, None)

    def given_up(self, failure: BaseException) -> bool:
        """Tell that a new transaction may succeed."""
        return any(is_given_up(code_of(cause)) for cause in causes(failure))

    def lost(self, failure: BaseException) -> bool:
        """Tell that the connection broke."""
        return any(_broke(cause, self._database.vendor) for cause in causes(failure))

    def has_no_table(self, failure: BaseException) -> bool:
        """Tell that the barrier's own table is missing, or lacks a column."""
        return failure is self._failed and any(is_no_table(cause) for cause in causes(failure))

    def _require_open(self) -> None:
        if self._database.closed_in_transaction:  # not by the server: Django sets it where code has called close()
            raise BarrierMisused("the connection was closed inside the barrier, and its transaction is gone with it")

    @contextmanager
    def _own(self) -> Iterator[None]:
        """A statement of the barrier's own, not of the work's."""
        self._require_open()
        try:
            yield
        except Exception as failure:
            self._failed = failure
            raise


class _RolledBack(Exception):
    """What an atomic block is told to end it without a commit."""


def atomic(alias: str) -> AbstractContextManager[Any]:
    """A block of `django.db.transaction`."""
    made: AbstractContextManager[Any] = importlib.import_module("django.db.transaction").atomic(using=alias)
    return made


def _broke(cause: BaseException, vendor: str) -> bool:
    """psycopg gives no SQLSTATE to a connection that is gone; SQLite has no connection that could go."""
    code, name = code_of(cause), type(cause).__name__
    if vendor == "mysql":
        return code in _BROKEN or (name == "InterfaceError" and code == 0)
    if vendor == "postgresql" and type(cause).__module__.startswith("psycopg"):
        return code.startswith(_BROKEN_CLASSES) if isinstance(code, str) else name in _WITHOUT_CODE
    return False
