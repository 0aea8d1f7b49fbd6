"""The database's time, as SQL. No process trusts its own clock: two of them never agree."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

from saga_celery.store.columns import UtcTime


class Clock(Protocol):
    """Where the store takes the time from."""

    def fixed(self) -> datetime | None:
        """The time to use, aware; None: ask the database."""
        ...


class DatabaseClock:
    """The clock of the database server."""

    def fixed(self) -> None:
        """Nothing is fixed: every statement asks the database."""
        return None


class FakeClock:
    """A clock that tests turn by hand; statements get its time as a parameter.

    Args:
        start: the time that it shows first, aware.
    """

    def __init__(self, start: datetime) -> None:
        self.time = start

    def fixed(self) -> datetime:
        """The time that it shows."""
        return self.time

    def turn(self, seconds: float) -> None:
        """Go `seconds` forward."""
        self.time += timedelta(seconds=seconds)


def now(clock: Clock) -> ColumnElement[datetime]:
    """The time of the statement."""
    fixed = clock.fixed()
    return db_now() if fixed is None else sa.bindparam("fixed_now", fixed, UtcTime(), unique=True)


def after(clock: Clock, seconds: float | ColumnElement[Any]) -> ColumnElement[datetime]:
    """`seconds` after the time of the statement."""
    length = sa.bindparam(None, seconds, sa.Double()) if isinstance(seconds, float | int) else seconds
    return db_after(now(clock), length)


class db_now(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function that it is
    """The time by the database's clock."""

    type = UtcTime()
    inherit_cache = True


class db_after(FunctionElement[datetime]):  # noqa: N801
    """A time and a number of seconds: the time that much later."""

    type = UtcTime()
    inherit_cache = True


class db_between(FunctionElement[float]):  # noqa: N801
    """An earlier and a later time: the seconds from one to the other."""

    type = sa.Double()
    inherit_cache = True


def _parts(element: FunctionElement[Any], compiler: SQLCompiler, **kw: Any) -> tuple[str, str]:
    first, second = (compiler.process(clause, **kw) for clause in element.clauses)
    return first, second


@compiles(db_now, "postgresql")
def _now_postgresql(element: db_now, compiler: SQLCompiler, **kw: Any) -> str:
    return "clock_timestamp()"


@compiles(db_now, "mysql", "mariadb")
def _now_mariadb(element: db_now, compiler: SQLCompiler, **kw: Any) -> str:
    return "UTC_TIMESTAMP(6)"


def _form_sqlite(compiler: SQLCompiler) -> str:
    """As SQLAlchemy's own DateTime is stored; each % is doubled where the paramstyle asks for it."""
    form: str = compiler.escape_literal_column("'%Y-%m-%d %H:%M:%f000'")  # type: ignore[no-untyped-call]
    return form


@compiles(db_now, "sqlite")
def _now_sqlite(element: db_now, compiler: SQLCompiler, **kw: Any) -> str:
    return f"strftime({_form_sqlite(compiler)}, 'now')"


@compiles(db_after, "postgresql")
def _after_postgresql(element: db_after, compiler: SQLCompiler, **kw: Any) -> str:
    time, seconds = _parts(element, compiler, **kw)
    return f"(CAST({time} AS timestamptz) + make_interval(secs => CAST({seconds} AS double precision)))"


@compiles(db_after, "mysql", "mariadb")
def _after_mariadb(element: db_after, compiler: SQLCompiler, **kw: Any) -> str:
    time, seconds = _parts(element, compiler, **kw)
    return f"TIMESTAMPADD(MICROSECOND, ROUND({seconds} * 1000000), {time})"


@compiles(db_after, "sqlite")
def _after_sqlite(element: db_after, compiler: SQLCompiler, **kw: Any) -> str:
    time, seconds = _parts(element, compiler, **kw)
    return f"strftime({_form_sqlite(compiler)}, {time}, {seconds} || ' seconds')"


@compiles(db_between, "postgresql")
def _between_postgresql(element: db_between, compiler: SQLCompiler, **kw: Any) -> str:
    earlier, later = _parts(element, compiler, **kw)
    return f"CAST(extract(epoch FROM CAST({later} AS timestamptz) - {earlier}) AS double precision)"


@compiles(db_between, "mysql", "mariadb")
def _between_mariadb(element: db_between, compiler: SQLCompiler, **kw: Any) -> str:
    earlier, later = _parts(element, compiler, **kw)
    return f"(TIMESTAMPDIFF(MICROSECOND, {earlier}, {later}) / 1e6)"


@compiles(db_between, "sqlite")
def _between_sqlite(element: db_between, compiler: SQLCompiler, **kw: Any) -> str:
    earlier, later = _parts(element, compiler, **kw)
    return f"((julianday({later}) - julianday({earlier})) * 86400.0)"
