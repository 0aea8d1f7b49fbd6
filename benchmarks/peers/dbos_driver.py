"""Workflows of five no-op steps with DBOS, in processes that start their own and run them in threads, as DBOS does."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from importlib import import_module
from itertools import cycle
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.names import STEPS
from benchmarks.serving import serve
from benchmarks.stamps import stamp as stamped
from workers.demo.leash import PR_SET_PDEATHSIG

dbos = import_module("dbos")


@dbos.DBOS.step()  # type: ignore[untyped-decorator, unused-ignore]
def noop(number: int) -> int:
    """Do nothing."""
    return number


@dbos.DBOS.step()  # type: ignore[untyped-decorator, unused-ignore]
def stamp(number: int) -> int:
    """Note when it began."""
    stamped()
    return number


@dbos.DBOS.workflow()  # type: ignore[untyped-decorator, unused-ignore]
def five(work: str) -> int:
    """Five steps, one after the other."""
    step = stamp if work == "stamps" else noop
    for number in range(STEPS):
        step(number)
    return STEPS


def application(asked: Connection, name: str) -> None:
    """One process: starts what it is told to, and answers once all of that has ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # one that is stopped does not see its pipe end
    url = os.environ["BENCH_DATABASE"].replace("postgresql+psycopg", "postgresql")
    config = {"name": "bench", "system_database_url": url, "executor_id": name, "log_level": "ERROR"}
    dbos.DBOS(config=config)
    dbos.DBOS.launch()
    asked.send("ready")
    handles: list[Any] = []
    while work := asked.recv():
        if work != "all":
            handles.append(dbos.DBOS.start_workflow(five, work))
            continue
        asked.send([each.get_result() for each in handles])
        handles.clear()


class Workflows:
    """Dealt out to the processes in turn."""

    def __init__(self) -> None:
        self._applications: list[Connection] = []
        self._results: list[int] = []
        spawning = multiprocessing.get_context("spawn")
        for number in range(int(os.environ["BENCH_CHILDREN"])):
            ours, theirs = spawning.Pipe()
            spawning.Process(target=application, args=(theirs, f"bench-{number}"), daemon=True).start()
            theirs.close()  # ours, of which the process has its own: it is to see the end of this one
            assert ours.recv() == "ready"
            self._applications.append(ours)
        self._next = cycle(self._applications)

    def start(self, work: str) -> None:
        """Start one."""
        next(self._next).send(work)

    def all_ended(self) -> bool:
        """Wait for all."""
        for each in self._applications:
            each.send("all")
        self._results = [result for each in self._applications for result in each.recv()]
        return True

    def check(self) -> None:
        """Look how they ended."""
        assert set(self._results) == {STEPS}, self._results


if __name__ == "__main__":
    serve(Workflows())
