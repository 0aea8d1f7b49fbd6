"""Starts plain Celery chains of five tasks, in a process of its own."""

from __future__ import annotations

from typing import Any

from celery import chain

from benchmarks.names import STEPS
from benchmarks.serving import serve
from benchmarks.tasks import app, noop, stamp


class Chains:
    """Started, and their ends seen by the results of their last tasks, all of them asked for at once."""

    def __init__(self) -> None:
        self._open: list[Any] = []
        self._results: Any = app.backend

    def start(self, work: str) -> None:
        """Start one."""
        task = stamp if work == "stamps" else noop
        last = chain(*[task.si(number) for number in range(STEPS)]).apply_async()
        self._open.append(self._results.get_key_for_task(last.id))

    def all_ended(self) -> bool:
        """Whether all results are there."""
        return bool(self._results.client.exists(*self._open) == len(self._open))

    def check(self) -> None:
        """Look into the results."""
        found = {self._results.decode_result(each)["status"] for each in self._results.client.mget(self._open)}
        assert found == {"SUCCESS"}, found
        self._open.clear()


if __name__ == "__main__":
    serve(Chains())
