"""The variants that run side by side, each with a broker, workers and a driver of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.servers import NewDatabase
from workers.demo.broker import open_broker
from workers.demo.process import ROOT, Process

CHAIN = "plain Celery chain"
PEERS = {"celery_saga": "celery-saga", "dbos": "DBOS"}
WORKER = ["-m", "celery", "-A", "{app}", "worker", "-l", "WARNING", "--without-gossip", "--without-mingle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run five steps."""

    label: str
    subject: str
    """`chain`, `keyed`, `claimed`, or the module of a peer."""
    database: str = ""
    reporting: bool = False
    python: str = sys.executable

    @property
    def is_peer(self) -> bool:
        """Whether another library runs it."""
        return self.subject in PEERS


def variants(
    databases: Sequence[str], subjects: Sequence[str], peers: Sequence[str], peer_python: str
) -> list[Variant]:
    """Those of the wanted subjects that can be measured here, the yardstick first."""
    found = [Variant(label=CHAIN, subject="chain")]
    for name in databases:
        if "keyed" in subjects:
            found.append(Variant(label=f"in place, {name}", subject="keyed", database=name))
        if "claimed" in subjects:
            found.append(Variant(label=f"in place, {name}, claimed", subject="claimed", database=name))
        if "reporting" in subjects and name != "sqlite":
            found.append(Variant(label=f"reporting, {name}", subject="keyed", database=name, reporting=True))
    for peer in peers:
        on = "postgresql" if peer == "dbos" else ""
        if not on or on in databases:
            found.append(Variant(label=PEERS[peer], subject=peer, database=on, python=peer_python))
    return found


class Running:
    """A variant whose workers are up."""

    def __init__(self, variant: Variant, driver: subprocess.Popen[str], workers: Sequence[Process], log: Path) -> None:
        self.variant = variant
        self._driver = driver
        self._workers = workers
        self._log = log

    def await_ready(self) -> None:
        """Wait until the pools are filled and the driver takes requests."""
        for worker in self._workers:
            worker.await_sign(lambda pid=worker.pid: bool(psutil.Process(pid).children()))  # type: ignore[misc]
        self.answer()

    def ask(self, **request: int) -> dict[str, Any]:
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

    def cpu_seconds(self) -> float:
        """Processor time that workers and driver have used; database and broker not counted."""
        roots = [psutil.Process(pid) for pid in (*(worker.pid for worker in self._workers), self._driver.pid)]
        times = [each.cpu_times() for root in roots for each in (root, *root.children(recursive=True))]
        return sum(each.user + each.system for each in times)

    def megabytes(self) -> float:
        """Resident memory of the largest of the workers' pool processes."""
        pools = [child for each in self._workers for child in psutil.Process(each.pid).children(recursive=True)]
        return max(child.memory_info().rss for child in pools) / 2**20


@contextmanager
def running(variant: Variant, folder: Path, new: Mapping[str, NewDatabase], children: int) -> Iterator[Running]:
    """Start the workers and the driver of a variant, without waiting for them, and end them afterwards."""
    folder.mkdir()
    with ExitStack() as stack:
        broker = stack.enter_context(open_broker(None, folder))
        environment = {
            "BENCH_BROKER": broker.url,
            "BENCH_BROKER_OPTIONS": json.dumps(dict(broker.transport_options)),
            "BENCH_SUBJECT": variant.subject,
            "BENCH_ENDED": str(folder / "ended"),
            "BENCH_DATABASE": new[variant.database]() if variant.database else "",
            "BENCH_CHILDREN": str(children),
        }
        workers = [
            stack.enter_context(_worker(variant, name, folder, {**environment, **more}, options))
            for name, more, options in _workers(variant, children)
        ]
        log = folder / "driver.log"
        driver = stack.enter_context(_driver(variant, environment, log))
        yield Running(variant, driver, workers, log)


def _workers(variant: Variant, children: int) -> list[tuple[str, dict[str, str], list[str]]]:
    """Name, environment and options of each worker; the number of pool processes is the same for all variants."""
    if variant.subject == "dbos":
        return []  # runs its steps in the driver's own threads
    if not variant.reporting:
        return [("worker", {}, ["-c", str(children)])]
    half = max(children // 2, 1)
    return [
        ("coordinator", {}, ["-c", str(half), "-Q", "saga"]),
        ("participant", {"BENCH_DATABASE": ""}, ["-c", str(half), "-Q", "celery"]),
    ]


@contextmanager
def _worker(
    variant: Variant, name: str, folder: Path, environment: Mapping[str, str], options: Sequence[str]
) -> Iterator[Process]:
    app = f"benchmarks.peers.{variant.subject}_app" if variant.is_peer else "benchmarks.app"
    command = [variant.python, *(part.format(app=app) for part in WORKER), "-n", f"{name}@bench", *options]
    worker = Process(name, command, log=folder / f"{name}.log", environment={**environment, "PYTHONWARNINGS": "ignore"})
    try:
        yield worker
    finally:
        worker.stop()


@contextmanager
def _driver(variant: Variant, environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[str]]:
    module = f"benchmarks.peers.{variant.subject}_driver" if variant.is_peer else "benchmarks.driver"
    with log.open("w") as errors:
        driver = subprocess.Popen(
            [variant.python, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
            env={**os.environ, **environment},
        )
    try:
        yield driver
    finally:
        driver.kill()
        driver.communicate()
