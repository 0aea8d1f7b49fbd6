"""The workers of the demo, each a Celery worker process of its own."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from workers.demo.process import Process

APPLICATIONS = {
    name: f"workers.{name}" for name in ("coordinator", "inventory", "payments", "shipping", "notifications")
}


class Fleet:
    """All workers; entering starts them, leaving stops them."""

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        concurrency: int,
        applications: Mapping[str, str] = APPLICATIONS,
    ) -> None:
        self._applications = applications
        self._folder = folder
        self._environment = environment
        self._concurrency = concurrency
        self._workers: dict[str, Process] = {}
        self._starts: Counter[str] = Counter()

    def __enter__(self) -> Fleet:
        try:
            for name in self._applications:
                self._start(name)
            for worker in self._workers.values():
                worker.await_log(" ready.")
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    def kill(self, name: str) -> int:
        """SIGKILL a worker with all its children, and answer the process id it had."""
        worker = self._workers[name]
        worker.kill()
        return worker.pid

    def kill_all(self) -> None:
        """SIGKILL every worker with all its children."""
        for worker in self._workers.values():
            worker.kill()

    def restart_all(self) -> None:
        """Start new workers in the places of killed ones."""
        for name in self._applications:
            self._start(name)

    def restart(self, name: str) -> int:
        """Start a new worker in the place of a killed one, and answer its process id."""
        return self._start(name).pid

    def replace_ended(self) -> list[int]:
        """Start workers in the places of those that have ended by themselves, as a supervisor would; their process ids.

        docs/operations.md tells why a worker needs one.
        """
        ended = [name for name, worker in self._workers.items() if worker.has_ended]
        for name in ended:
            self.kill(name)  # what is left of its children
        return [self.restart(name) for name in ended]

    def _start(self, name: str) -> Process:
        self._starts[name] += 1
        command = [sys.executable, "-m", "celery", "--app", self._applications[name], "worker"]
        command += ["--hostname", f"{name}-{self._starts[name]}@%h", "--concurrency", str(self._concurrency)]
        command += ["--loglevel", "INFO", "--without-gossip", "--without-mingle"]
        log = self._folder / f"{name}-{self._starts[name]}.log"
        self._workers[name] = Process(name, command, log=log, environment=self._environment)
        return self._workers[name]

    def _stop(self) -> None:
        for worker in self._workers.values():
            worker.ask_to_stop()
        for worker in self._workers.values():
            worker.stop()
