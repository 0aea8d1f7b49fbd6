"""Statements of the store on Django's own cursor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from django.db import Error, InterfaceError, OperationalError

from saga_celery.errors import RetryTransaction, SchemaOutOfDate, StoreError, StoreUnavailable
from saga_celery.store.django import DjangoCursors, causes
from saga_celery.store.executors import Row
from saga_celery.store.faults import MIGRATE, code_of, is_given_up, is_no_table


class CursorExecutor:
    """Meets `saga_celery.store.executors.Executor`.

    Args:
        database: a connection of Django's, with an open transaction.
    """

    def __init__(self, database: Any) -> None:
        self._database = database
        self._cursors = DjangoCursors(database)

    @property
    def dialect(self) -> str:
        """`postgresql`, `mysql` (MariaDB too) or `sqlite`."""
        return str(self._database.vendor)

    def write(self, statement: sa.Executable, rows: Sequence[Row]) -> int:
        """Execute once for each row of parameters; return how many rows were changed."""
        with translated(self._database):
            return self._cursors.change(statement, rows)

    def read(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        """Read rows."""
        with translated(self._database):
            return self._cursors.all(statement)


@contextmanager
def translated(database: Any) -> Iterator[None]:
    """Turn what the database's driver met into our errors; Django's own, about its blocks or threads, stay as they are.

    Args:
        database: the connection.

    Raises:
        RetryTransaction: the database gave the transaction up; run it again, as a new one.
        StoreUnavailable: the database does not answer.
        SchemaOutOfDate: a table is missing.
        StoreError: anything else that the database refused.
    """
    try:
        yield
    except Error as failure:
        if failure.__cause__ is None:
            raise
        raise _meaning(failure, database) from failure


def _meaning(failure: Error, database: Any) -> StoreError:
    reason = str(failure).strip()
    drivers = list(causes(failure.__cause__))
    if any(is_given_up(code_of(each)) for each in drivers):
        return RetryTransaction(f"the database gave the transaction up; run it again: {reason}{_advice(database)}")
    if any(is_no_table(each) for each in drivers):
        return SchemaOutOfDate(f"the tables of saga_celery are missing or too old ({reason}); run: {MIGRATE}")
    if isinstance(failure, OperationalError | InterfaceError):
        return StoreUnavailable(f"the saga database does not answer: {reason}")
    return StoreError(f"the saga database refused: {reason}")


def _advice(database: Any) -> str:
    """Without it SQLite gives up at once where another one wrote since the caller's first read."""
    if database.vendor != "sqlite" or waits_for_its_turn(database):
        return ""
    return (
        f'; DATABASES[{database.alias!r}] needs "OPTIONS": {{"transaction_mode": "IMMEDIATE"}}, so that it waits for '
        "its turn before it reads"
    )


def waits_for_its_turn(database: Any) -> bool:
    """Tell whether SQLite takes the write lock at the begin of a transaction, where it can still be waited for."""
    mode = database.settings_dict["OPTIONS"].get("transaction_mode") or ""
    return bool(mode.upper() in ("IMMEDIATE", "EXCLUSIVE"))
