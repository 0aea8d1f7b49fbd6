"""The agency's worker: a Celery worker process, and a new one whenever it has ended."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from workers.demo.process import Process

LOOK_SECONDS = 1.0


class Worker(Process):
    """One Celery worker with its children."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, concurrency: int, number: int) -> None:
        command = [sys.executable, "-m", "celery", "--app", "workers.agency.make_celery", "worker"]
        command += ["--concurrency", str(concurrency), "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
        super().__init__("worker", command, log=folder / f"worker-{number}.log", environment=environment)

    @property
    def has_ended(self) -> bool:
        """Whether its main process is gone."""
        return self._popen.poll() is not None


class Supervised:
    """A worker that is replaced when it ends, as a process supervisor does.

    Celery 5.7 ends a worker that loses Redis with messages in hand, rather than reconnect.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], concurrency: int) -> None:
        self._folder = folder
        self._environment = environment
        self._concurrency = concurrency
        self._starts = 0
        self._worker = self._start()

    def await_ready(self) -> None:
        """Wait until it takes messages."""
        self._worker.await_log(" ready.")

    def watch(self) -> None:
        """Replace it whenever it has ended; for ever. A worker dies with the thread that started it: call this in the
        main one."""
        rest = threading.Event()
        while not rest.wait(LOOK_SECONDS):
            if self._worker.has_ended:
                self._worker.kill()  # what is left of its children
                self._worker = self._start()

    def stop(self) -> None:
        """End it."""
        self._worker.stop()

    def _start(self) -> Worker:
        self._starts += 1
        return Worker(self._folder, self._environment, concurrency=self._concurrency, number=self._starts)


@contextmanager
def supervised(folder: Path, environment: Mapping[str, str], concurrency: int) -> Iterator[Supervised]:
    """A worker that is ready, for as long as the context lasts."""
    worker = Supervised(folder, environment, concurrency)
    try:
        worker.await_ready()
        yield worker
    finally:
        worker.stop()
