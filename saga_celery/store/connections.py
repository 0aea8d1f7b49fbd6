"""Connections to the saga database: one engine for each process, and transactions that are run again when given up."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, Connection, Engine, ExecutionContext
from sqlalchemy.pool import ConnectionPoolEntry

from saga_celery.engine.forking import GATE
from saga_celery.store.addresses import address
from saga_celery.store.cursors import Cursor, ListenedCursor, is_listened_to, straight
from saga_celery.store.faults import lost, translated
from saga_celery.store.retrying import again

T = TypeVar("T")

BUSY_SECONDS = 30.0
"""How long SQLite waits for another writer, and anybody for a free connection."""
WAL_REST = 0.01
"""Seconds between two tries to switch a new SQLite file to its write-ahead log."""


class Connections:
    """The way to the saga database.

    The engine is made at first use, in each process anew: connections must not be shared across a fork.

    Args:
        url: SQLAlchemy URL of the database.
        chance: draws a number between 0 and 1, so that rivals do not meet again.
        options: further arguments of `sqlalchemy.create_engine`, such as `pool_size`.

    Raises:
        NotConfigured: the URL can not be opened here; see `addresses.address`.
    """

    def __init__(self, url: str | URL, *, chance: Callable[[], float], **options: Any) -> None:
        self.url = address(url)
        self._chance = chance
        self._options = options
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._pid = 0
        if self._is_file:
            GATE.close_before_forks(self.dispose)

    @property
    def _is_file(self) -> bool:
        return self.dialect == "sqlite" and not _in_memory(self.url)

    def _use(self) -> AbstractContextManager[None]:
        return GATE.work() if self._is_file else nullcontext()

    @property
    def dialect(self) -> str:
        """`postgresql`, `mysql` (MariaDB too) or `sqlite`."""
        name = self.url.get_backend_name()
        return "mysql" if name == "mariadb" else name

    @property
    def engine(self) -> Engine:
        """The engine of this process; its connections commit each statement by itself."""
        if self._engine is None or self._pid != os.getpid():
            self._open()
        assert self._engine is not None  # noqa: S101 - made by the line above
        return self._engine

    def dispose(self) -> None:
        """Close the connections of this process, or forget, without a word to the server, those of the parent's."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose(close=self._pid == os.getpid())
            self._engine = None

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """A connection on which each statement is a transaction of its own, without a word more to the server.

        Raises:
            StoreError: see `faults.translated`.
        """
        with self._use(), translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction; committed at the end, rolled back by any exception.

        Raises:
            StoreError: see `faults.translated`.
        """
        with self._use(), translated(), self.engine.connect() as plain:
            connection = plain.execution_options(saga_transaction=True)
            with connection.begin():
                yield connection

    @contextmanager
    def cursor(self, *, transaction: bool = False) -> Iterator[Cursor]:
        """A cursor for statements whose text is ready.

        Args:
            transaction: False: each statement is a transaction of its own; True: all of them are one, committed at the
                end, rolled back by any exception.

        Raises:
            StoreError: see `faults.translated`.
        """
        if is_listened_to(self.engine):
            with self.transaction() if transaction else self.autocommit() as connection:
                yield ListenedCursor(connection)
        else:
            begin = _BEGIN[self.engine.dialect.name] if transaction else None
            with self._use(), translated(), straight(self.engine, begin) as cursor:
                yield cursor

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do the work in a transaction, and in a new one whenever the database gives it up.

        Raises:
            RetryTransaction: it was given up again and again.
            StoreError: see `faults.translated`.
        """

        def once() -> T:
            with self.transaction() as connection:
                return work(connection)

        return self.again(once)

    def again(self, work: Callable[[], T]) -> T:
        """Call `work` until it is not given up, with a rest that grows and differs between rivals.

        Raises:
            RetryTransaction: it was given up again and again.
        """
        return again(work, chance=self._chance)

    def reconnected(self, work: Callable[[], T]) -> T:
        """Call `work` once more when the connection from the pool turns out to be broken.

        In place of a ping before each statement. Only for work that may be done twice.
        """
        try:
            return work()
        except Exception as failure:
            if not (isinstance(failure.__cause__, exc.DBAPIError) and lost(failure.__cause__)):
                raise
        return work()

    # ----------------------------------------------------------------------------------------------------------- engine

    def _open(self) -> None:
        with self._lock:
            if self._engine is not None and self._pid == os.getpid():
                return
            if self._engine is not None:
                self._engine.dispose(close=False)
            self._engine = self._make()
            self._pid = os.getpid()

    def _make(self) -> Engine:
        if self.dialect == "sqlite":
            engine = _sqlite(self.url, self._options)
        else:
            arguments = {"charset": "utf8mb4", "init_command": _READ_COMMITTED} if self.dialect == "mysql" else {}
            options = {"pool_recycle": 1800, **_with_arguments(arguments, self._options)}
            # What commits by itself leaves nothing to roll back when its connection goes back to the pool.
            engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", pool_reset_on_return=None, **options)
            if engine.driver == "psycopg":
                event.listen(engine, "do_execute", _unprepared)
                event.listen(engine, "connect", _not_hoarding)
        event.listen(engine, "begin", _begin)
        return engine


_READ_COMMITTED = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"

_BEGIN = {
    "postgresql": "BEGIN ISOLATION LEVEL READ COMMITTED",
    "mysql": "START TRANSACTION",
    "mariadb": "START TRANSACTION",
    "sqlite": "BEGIN IMMEDIATE",
}
"""How a transaction begins; that of SQLite takes the write lock at once, where waiting for it is still possible."""


def _begin(connection: Connection) -> None:
    """SQLAlchemy begins a transaction before every first statement; only where one was asked for is it a real one."""
    if connection.get_execution_options().get("saga_transaction"):
        connection.exec_driver_sql(_BEGIN[connection.dialect.name])


def _unprepared(cursor: Any, statement: str, parameters: Any, context: ExecutionContext | None) -> bool:
    """Plan a statement for its very parameters, where that was asked for.

    Psycopg prepares what it has seen five times, and PostgreSQL then soon takes one plan for all parameters.
    """
    if context is None or not context.execution_options.get("saga_unprepared"):
        return False
    cursor.execute(statement, parameters, prepare=False)
    return True


def _not_hoarding(connection: Any, entry: ConnectionPoolEntry) -> None:
    """Psycopg keeps what is called out until somebody asks, and behind a pooler it comes to whoever has the session."""
    connection.add_notify_handler(lambda call: None)


def _sqlite(url: URL, options: dict[str, Any]) -> Engine:
    """SQLite, with transactions under our own control: Python's driver would begin them too late."""
    pool: dict[str, Any] = {"pool_timeout": BUSY_SECONDS, "poolclass": sa.QueuePool}
    if _in_memory(url):  # the database is its connection: all threads take turns at the only one
        pool |= {"pool_size": 1, "max_overflow": 0}
    arguments = {"check_same_thread": False, "timeout": BUSY_SECONDS}
    engine = sa.create_engine(url, **{"pool_reset_on_return": None, **pool, **_with_arguments(arguments, options)})
    event.listen(engine, "connect", _set_up)
    return engine


def _with_arguments(arguments: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, with what is ours among the driver's arguments unless they say otherwise."""
    return {**options, "connect_args": {**arguments, **options.get("connect_args", {})}}


def _in_memory(url: URL) -> bool:
    return url.database in (None, "", ":memory:") or "mode=memory" in str(url)


def _set_up(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000:.0f}").close()
    _write_ahead(connection)
    for setting in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {setting}").close()


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch the file to its write-ahead log, which stays so.

    Several processes may meet a new file at once, and SQLite does not wait for a lock where it changes the journal.
    """
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(WAL_REST)
