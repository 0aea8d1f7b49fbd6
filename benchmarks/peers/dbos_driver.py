"""Workflows of five no-op steps with DBOS, on PostgreSQL, in the threads of this one process, as DBOS does."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from benchmarks.serving import serve

dbos = import_module("dbos")


@dbos.DBOS.step()  # type: ignore[untyped-decorator, unused-ignore]
def noop(number: int) -> int:
    """Do nothing."""
    return number


@dbos.DBOS.workflow()  # type: ignore[untyped-decorator, unused-ignore]
def five(number: int) -> int:
    """Five steps, one after the other."""
    for _ in range(5):
        number = noop(number)
    return number


class Workflows:
    """Started, and awaited by their handles."""

    def __init__(self) -> None:
        url = os.environ["BENCH_DATABASE"].replace("postgresql+psycopg", "postgresql")
        dbos.DBOS(config={"name": "bench", "system_database_url": url, "run_admin_server": False, "log_level": "ERROR"})
        dbos.DBOS.launch()
        self._open: list[Any] = []

    def start(self) -> None:
        """Start one."""
        self._open.append(dbos.DBOS.start_workflow(five, 1))

    def all_ended(self) -> bool:
        """Wait for all."""
        while self._open:
            self._open.pop().get_result()
        return True


if __name__ == "__main__":
    serve(Workflows())
