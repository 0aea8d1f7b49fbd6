"""Starts sagas of celery-saga."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.celery_saga_app import saga
from benchmarks.serving import serve


class Sagas:
    """Started, and watched by their handles."""

    def __init__(self) -> None:
        self._saga = saga()
        self._open: list[Any] = []

    def start(self) -> None:
        """Start one."""
        self._open.append(self._saga.run(number=1))

    def all_ended(self) -> bool:
        """Whether the handles of all say so."""
        while self._open and self._open[-1].is_complete:
            self._open.pop()
        return not self._open


if __name__ == "__main__":
    serve(Sagas())
