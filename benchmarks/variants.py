"""The variants that run side by side, and in which processes."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

CHAIN = "plain Celery chain"
QUEUE = "elsewhere"
"""Where tasks wait for workers without saga code."""
QUIET = {"PYTHONWARNINGS": "ignore"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One process of a variant, with its children."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    has_pool: bool = False
    """It is ready when it has children."""
    has_restless_children: bool = False
    """They do something even if nobody asks them to, so they are stopped as well; they die with their parent."""
    is_server: bool = False
    """It keeps data and hands out work, as a database and a broker do for others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run five steps."""

    label: str
    driver: Part
    """Starts them, and waits for their ends."""
    workers: tuple[Part, ...] = ()
    database: str = ""
    """What kind it needs one of."""
    environment: Mapping[str, str] = field(default_factory=dict)
    needs_broker: bool = True
    undoes: bool = False
    """Compensation is measured, too."""


def variants(databases: Collection[str], subjects: Collection[str], children: int) -> list[Variant]:
    """Those of the wanted subjects that can be measured here, the yardstick first.

    Args:
        databases: kinds that are there.
        subjects: `messages`, `claimed`, `foreign`.
        children: pool processes, the same number for each variant.
    """
    found = [_chain(children)]
    found += [
        _sagas(kind, name, children) for kind in ("messages", "claimed") if kind in subjects for name in databases
    ]
    if "foreign" in subjects and "postgresql" in databases:
        found.append(_foreign("postgresql", children))
    return found


def worker(python: str, module: str, children: int, *, name: str = "worker", queues: str = "") -> Part:
    """A Celery worker.

    Args:
        python: its interpreter.
        module: where its app is.
        children: its pool processes.
        name: of the worker.
        queues: its queues, if not the app's own.
    """
    command = (python, "-m", "benchmarks.worker", module, name, str(children), queues)
    return Part(name=name, command=command, environment=QUIET, has_pool=True)


def driver(python: str, module: str) -> Part:
    """A driver."""
    return Part(name="driver", command=(python, "-m", module))


def _chain(children: int) -> Variant:
    return Variant(
        label=CHAIN,
        driver=driver(sys.executable, "benchmarks.chain_driver"),
        workers=(worker(sys.executable, "benchmarks.tasks", children),),
        environment={"BENCH_RESULTS": "yes"},
    )


def _sagas(kind: str, database: str, children: int) -> Variant:
    return Variant(
        label=f"{kind}, {database}",
        driver=driver(sys.executable, "benchmarks.saga_driver"),
        workers=(worker(sys.executable, "benchmarks.app", children),),
        database=database,
        environment={"BENCH_SUBJECT": kind},
        undoes=kind != "claimed" and database == "postgresql",
    )


def _foreign(database: str, children: int) -> Variant:
    """A coordinator that runs no steps, and a worker that knows of no sagas; half of the pool processes for each."""
    half = max(children // 2, 1)
    return Variant(
        label=f"foreign, {database}",
        driver=driver(sys.executable, "benchmarks.saga_driver"),
        workers=(
            worker(sys.executable, "benchmarks.app", half, name="coordinator", queues="saga"),
            worker(sys.executable, "benchmarks.tasks", half, name="participant", queues=QUEUE),
        ),
        database=database,
        environment={"BENCH_SUBJECT": "messages", "BENCH_TASK_QUEUE": QUEUE, "BENCH_FOREIGN_QUEUES": QUEUE},
    )
