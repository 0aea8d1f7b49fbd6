"""What the errors of three databases mean to us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from saga_celery.errors import RetryTransaction, SchemaOutOfDate, StoreError, StoreUnavailable

MIGRATE = "celery -A <your app> saga migrate"
"""The command that mends the tables."""
MIGRATE_BARRIER = f"{MIGRATE} --barrier --database <its URL>"
"""The command that mends the barrier's table in a participant's own database."""

_GIVEN_UP = {"40001", "40P01", "55P03", 1213, 1205, 1020}
"""The database gave the transaction up: SQLSTATE of PostgreSQL, numbers of MariaDB (1020: changed since read)."""
_NO_TABLE = {"42P01", "42703", 1146, 1054}
"""A table or a column is missing."""
_NO_TABLE_SQLITE = ("no such table", "no such column", "has no column named")
"""SQLite has one code for all mistakes."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn the errors of databases and drivers into ours; what went wrong stays attached as the cause.

    Raises:
        RetryTransaction: the database gave the transaction up; run it again, as a new one.
        StoreUnavailable: the database does not answer.
        SchemaOutOfDate: a table is missing.
        StoreError: anything else that the database refused.
    """
    try:
        yield
    except exc.TimeoutError as failure:
        raise StoreUnavailable(f"no connection to the saga database became free: {failure}") from failure
    except exc.DBAPIError as failure:
        raise meaning(failure) from failure


def meaning(failure: exc.DBAPIError) -> StoreError:
    """Our error for one of a database."""
    reason = str(failure.orig).strip()
    if given_up(failure):
        return RetryTransaction(f"the database gave the transaction up; run it again: {reason}")
    if no_table(failure):
        return SchemaOutOfDate(f"the tables of saga_celery are missing or too old ({reason}); run: {MIGRATE}")
    if lost(failure) or isinstance(failure, exc.OperationalError | exc.InterfaceError | exc.InternalError):
        return StoreUnavailable(f"the saga database does not answer: {reason}")
    return StoreError(f"the saga database refused: {reason}")


def given_up(failure: exc.DBAPIError) -> bool:
    """Tell a serialization failure, a deadlock, or a lock that was waited for too long."""
    return is_given_up(code_of(failure.orig))


def is_given_up(code: str | int | None) -> bool:
    """Tell by what `code_of` found."""
    return code in _GIVEN_UP or (isinstance(code, str) and code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")))


def no_table(failure: exc.DBAPIError) -> bool:
    """Tell that a table or a column is missing."""
    return is_no_table(failure.orig)


def is_no_table(raw: BaseException | None) -> bool:
    """Tell by the driver's own error."""
    reason = str(raw)
    return code_of(raw) in _NO_TABLE or any(words in reason for words in _NO_TABLE_SQLITE)


def lost(failure: exc.DBAPIError) -> bool:
    """Tell that the connection broke: what it was told last may or may not have been done."""
    return failure.connection_invalidated


def code_of(raw: BaseException | None) -> str | int | None:
    """Number of MariaDB, which says more than its SQLSTATE; SQLSTATE of PostgreSQL; name of SQLite."""
    if raw is not None and raw.args and isinstance(raw.args[0], int):
        return raw.args[0]
    found = getattr(raw, "sqlstate", None) or getattr(raw, "pgcode", None) or getattr(raw, "sqlite_errorname", None)
    return found if isinstance(found, str) else None
