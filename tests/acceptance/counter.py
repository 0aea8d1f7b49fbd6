"""The shop with its counter: workers that a test starts and kills, sagas, and the operator's commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from saga_celery.store.connections import Connections
from saga_celery.store.migrate import migrate
from tests.polling import await_that
from tests.servers import warm_python
from workers.demo.process import ROOT, Process

POLL = 0.05
PATIENCE = 120.0
"""Seconds. What comes about does so within two, but the machine may be busy with other things."""
ENDED = ("COMPLETED", "COMPENSATED", "FAILED")


class Shop:
    """A folder for effects, a broker, a database with its tables; no worker runs yet."""

    def __init__(self, folder: Path, *, broker: str, database: str, app: str = "shop") -> None:
        self.folder = folder
        self.app = app
        self.broker = broker
        self.database = database
        self.environment = {"SHOP_FOLDER": str(folder), "SHOP_BROKER": broker, "SHOP_DATABASE": database}
        self._engine = create_engine(database, poolclass=NullPool)
        self._workers: list[Process] = []

    def __enter__(self) -> Self:
        connections = Connections(self.database, chance=lambda: 0.5)
        migrate(connections)
        connections.dispose()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.kill()  # a warm shutdown takes four seconds, and here nobody looks at it

    # -------------------------------------------------------------------------------------------------------- workers

    def worker(self, *options: str, app: str = "", wait: bool = True, **environment: str) -> Process:
        """Start a worker, and by default wait until it is ready."""
        number = len(self._workers)
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            f"tests.acceptance.{app or self.app}",
            "worker",
            "-n",
            f"w{number}@%h",
        ]
        command += ["--loglevel", "INFO", "--without-gossip", "--without-mingle", "--without-heartbeat", *options]
        log = self.folder / f"worker-{number}.log"
        worker = Process(f"worker {number}", command, log=log, environment={**self.environment, **environment})
        self._workers.append(worker)
        if wait:
            worker.await_log(" ready.")
        return worker

    # ---------------------------------------------------------------------------------------------------------- sagas

    def python(self, code: str, **environment: str) -> str:
        """Run code in a process of its own, as a web application would; what it printed."""
        done = self._run([*warm_python(), "-c", code], **environment)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, *errands: dict[str, Any], saga: str = "ErrandSaga", **environment: str) -> list[str]:
        """Start sagas through the public interface; their ids."""
        code = (
            f"import json; from tests.acceptance.{self.app} import {saga} as S\n"
            f"for data in json.loads({json.dumps(errands)!r}): print(S.start(data, key=data['name']).id)\n"
        )
        return self.python(code, **environment).split()

    def saga(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`celery -A … saga …`, as an operator types it."""
        command = [*warm_python(), "-m", "celery", "-A", f"tests.acceptance.{self.app}", "saga", *arguments]
        return self._run(command, **environment)

    def query(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        with self._engine.begin() as connection:
            return [tuple(row) for row in connection.execute(text(statement), values)]

    def state(self, saga_id: str) -> str:
        ((state,),) = self.query("SELECT state FROM saga WHERE id = :id", id=saga_id)
        return str(state)

    def letters(self, saga_id: str) -> list[tuple[str, str, str]]:
        """Step, reason and detail of what waits for a person."""
        found = self.query("SELECT step, reason, detail FROM saga_dead_letter WHERE saga_id = :id", id=saga_id)
        return [(str(step), str(reason), str(detail)) for step, reason, detail in found]

    def cause(self, saga_id: str) -> str:
        """Why a saga turned round."""
        ((turn,),) = self.query("SELECT turn FROM saga WHERE id = :id", id=saga_id)
        return str(turn)

    def end_of(self, saga_id: str, seconds: float = PATIENCE) -> str:
        """Wait until a saga has ended; its state."""
        self.await_that(lambda: self.state(saga_id) in ENDED, f"the end of saga {saga_id}", seconds)
        return self.state(saga_id)

    def effects(self, name: str) -> list[str]:
        """What was done for an errand, in order, without the keys."""
        start = f"{name}:"
        return [line.removeprefix(start).rpartition(" ")[0] for line in self._lines() if line.startswith(start)]

    def keys(self, what: str) -> set[str]:
        """The keys under which something was done."""
        return {line.rpartition(" ")[2] for line in self._lines() if line.rpartition(" ")[0] == what}

    def _lines(self) -> Sequence[str]:
        effects = self.folder / "effects"
        return effects.read_text().splitlines() if effects.exists() else []

    def await_that(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Look again and again until the shop shows `condition`."""

        def failure() -> str:
            logs = "\n".join(worker.log.read_text(errors="replace")[-2000:] for worker in self._workers)
            return f"{what} did not come about within {seconds} s\n{logs}"

        await_that(condition, failure, seconds=seconds, poll=POLL)

    def _run(self, command: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, **self.environment, **environment}
        return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=PATIENCE)
