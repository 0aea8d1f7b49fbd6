"""Starts sagas of celery-saga."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.celery_saga_app import saga
from benchmarks.serving import serve


class Sagas:
    """Started, and watched by their handles."""

    def __init__(self) -> None:
        self._sagas = {work: saga(work) for work in ("steps", "stamps")}
        self._open: list[Any] = []
        self._ended: list[Any] = []

    def start(self, work: str) -> None:
        """Start one."""
        self._open.append(self._sagas[work].run(number=1))

    def all_ended(self) -> bool:
        """Whether the handles of all say so."""
        while self._open and self._open[-1].is_complete:
            self._ended.append(self._open.pop())
        return not self._open

    def check(self) -> None:
        """Look how they ended."""
        found = {each.status.name for each in self._ended}
        assert found == {"COMPLETED"}, found
        self._ended.clear()


if __name__ == "__main__":
    serve(Sagas())
