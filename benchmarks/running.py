"""A variant at work: its workers and its driver, stopped while others have their turn."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.servers import Servers
from benchmarks.variants import Part, Variant
from workers.demo.process import ROOT, Process


class Running:
    """A variant whose processes are up.

    Args:
        variant: what they are.
        driver: the process that starts sagas.
        workers: the processes that run them.
        log: of the driver.
    """

    def __init__(self, variant: Variant, driver: subprocess.Popen[str], workers: Sequence[Process], log: Path) -> None:
        self.variant = variant
        self._driver = driver
        self._workers = workers
        self._log = log

    @property
    def pids(self) -> list[int]:
        """Its main processes."""
        return [self._driver.pid, *(worker.pid for worker in self._workers)]

    @property
    def worker_pids(self) -> list[int]:
        """Those of its workers."""
        return [worker.pid for worker, part in self._parts() if not part.is_server]

    @property
    def server_pids(self) -> list[int]:
        """Those of servers that only it has."""
        return [worker.pid for worker, part in self._parts() if part.is_server]

    def await_ready(self) -> None:
        """Wait until the pools are filled and the driver takes requests."""
        for worker, part in self._parts():
            if part.has_pool:
                worker.await_sign(lambda pid=worker.pid: bool(psutil.Process(pid).children()))  # type: ignore[misc]
        self.answer()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Go on, and stop again: outside of its turns the kernel gives its main processes no processor time.

        Pool processes are not stopped: they rest without their main process, and would be left behind, stopped, if this
        program were killed.
        """
        self._signal(signal.SIGCONT)
        try:
            yield
        finally:
            self.stop()

    def stop(self) -> None:
        """Until the next turn."""
        self._signal(signal.SIGSTOP)

    def ask(self, **request: Any) -> dict[str, Any]:
        """Let the driver do something."""
        assert self._driver.stdin is not None
        self._driver.stdin.write(json.dumps(request) + "\n")
        self._driver.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Read the driver's next answer."""
        assert self._driver.stdout is not None
        line = self._driver.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.variant.label}: the driver ended\n{self._log.read_text()[-2000:]}")
        found: dict[str, Any] = json.loads(line)
        return found

    def _parts(self) -> Iterator[tuple[Process, Part]]:
        return zip(self._workers, self.variant.workers, strict=True)

    def _signal(self, number: signal.Signals) -> None:
        restless = [self._driver.pid] if self.variant.driver.has_restless_children else []
        children = [child.pid for pid in restless for child in psutil.Process(pid).children(recursive=True)]
        for pid in (*self.pids, *children):
            os.kill(pid, number)


@contextmanager
def running(variant: Variant, folder: Path, servers: Servers) -> Iterator[Running]:
    """Start the workers and the driver of a variant, without waiting for them, and end them afterwards."""
    folder.mkdir()
    environment = {
        **variant.environment,
        "BENCH_BROKER": servers.new_broker_url() if variant.needs_broker else "",
        "BENCH_BROKER_OPTIONS": json.dumps(dict(servers.broker.transport_options)),
        "BENCH_DATABASE": servers.new[variant.database]() if variant.database else "",
        "BENCH_FOLDER": str(folder),
    }
    with ExitStack() as stack:
        workers = [stack.enter_context(_worker(part, folder, environment)) for part in variant.workers]
        log = folder / "driver.log"
        driver = stack.enter_context(_driver(variant.driver, environment, log))
        yield Running(variant, driver, workers, log)


@contextmanager
def _worker(part: Part, folder: Path, environment: Mapping[str, str]) -> Iterator[Process]:
    worker = Process(
        part.name, part.command, log=folder / f"{part.name}.log", environment={**environment, **part.environment}
    )
    try:
        yield worker
    finally:
        if not worker.has_ended:
            os.kill(worker.pid, signal.SIGCONT)
        worker.stop()


@contextmanager
def _driver(part: Part, environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """On a leash as well: stopped, it would not see its input end."""
    with log.open("w") as errors:
        driver = subprocess.Popen(
            [sys.executable, "-m", "workers.demo.leash", str(os.getpid()), *part.command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
            env={**os.environ, **environment, **part.environment, "PYTHONPATH": str(ROOT)},
        )
    try:
        yield driver
    finally:
        driver.kill()
        driver.communicate()
