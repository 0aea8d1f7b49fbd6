"""How much is said to a database for one transition: counted, not timed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, Protocol

import sqlalchemy as sa

from benchmarks.names import STEPS
from saga_celery.store import SQLStore

SAGAS = 4


class Movable(Protocol):
    """Sagas that are moved by hand."""

    store: Any

    def start(self) -> str:
        """Start a saga."""
        ...

    def run(self, sagas: int, *, cold: bool) -> None:
        """Move sagas from their start to their end, and look at each once more."""
        ...


def statements(bench: Movable) -> dict[str, float]:
    """Statements for each transition, BEGIN and COMMIT included, as SQLAlchemy sends them."""
    with _statements(bench.store.connections.engine) as seen:
        return {f"statements_{name}": found for name, found in _each(bench, lambda: len(seen))}


def round_trips(bench: Movable) -> dict[str, float]:
    """What goes over the wire to PostgreSQL, by the trace of its own client library."""
    with tempfile.TemporaryFile("w+b") as trace:

        def begin_trace(connection: Any, *_: Any) -> None:
            connection.pgconn.trace(trace.fileno())

        sa.event.listen(bench.store.connections.engine, "connect", begin_trace)
        bench.run(8, cold=False)  # the first runs of a statement prepare it
        found = {f"round_trips_{name}": found for name, found in _each(bench, lambda: exchanges(trace))}
        bench.store.dispose()
    return found


def _each(bench: Movable, total: Callable[[], int]) -> Iterator[tuple[str, float]]:
    """Whole sagas, less what is not a transition: the start, and the look at the end."""
    for name, cold in (("known", False), ("cold", True)):
        before = total()
        bench.run(SAGAS, cold=cold)
        whole = (total() - before) / SAGAS
        before = total()
        SQLStore.load(bench.store, bench.start())
        yield name, (whole - (total() - before)) / (STEPS + 1)


@contextmanager
def _statements(engine: sa.Engine) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(connection: sa.Connection, cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    def commits(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("saga_transaction"):
            seen.append("COMMIT")

    sa.event.listen(engine, "before_cursor_execute", note)
    sa.event.listen(engine, "commit", commits)
    try:
        yield seen
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
        sa.event.remove(engine, "commit", commits)


def exchanges(trace: IO[bytes]) -> int:
    """Round trips in the protocol trace of PostgreSQL's client library: each ends with Sync, or is a simple Query."""
    trace.seek(0)
    fields = (line.split("\t") for line in trace.read().decode(errors="replace").splitlines())
    return sum(each[1] == "F" and each[3].split(" ")[0] in ("Sync", "Query") for each in fields if len(each) > 3)
