"""The deployment of `workers/` under a test's control: started, killed and asked like by an operator."""

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.polling import await_that
from tests.servers import warm_python
from workers.catalogue import Order, northwind
from workers.demo.fleet import Fleet
from workers.demo.process import ROOT
from workers.reconcile import reconcile
from workers.reconcile.books import ENDED
from workers.reconcile.databases import Databases
from workers.reconcile.report import Report
from workers.seed import SERVICES, seed
from workers.service.provision import create_if_missing

POLL = 0.1


class Deployment:
    """Seeded databases, and workers that can be started and killed."""

    def __init__(self, folder: Path, *, broker: str, database: str, stock_factor: int = 30) -> None:
        self.folder = folder
        self.databases = Databases(saga=database, service=f"sqlite:///{folder}/{{service}}.db")
        self.environment = {
            "SAGA_BROKER_URL": broker,
            "SAGA_BROKER_TRANSPORT_OPTIONS": "{}",
            "SAGA_DATABASE_URL": database,
            "SERVICE_DATABASE_URL": self.databases.service,
        }
        self._stock_factor = stock_factor
        self._fleets = ExitStack()

    def __enter__(self) -> Self:
        self.saga("migrate")
        for service in SERVICES:
            create_if_missing(self.databases.url(service))
            assert seed(service, self.databases.url(service), stock_factor=self._stock_factor)
        return self

    def __exit__(self, *_: object) -> None:
        self._fleets.close()

    def start_workers(self, concurrency: int = 2) -> Fleet:
        """Start all workers and wait until they are ready."""
        fleet = self._fleets.enter_context(Fleet(self.folder, self.environment, concurrency))
        self._fleets.callback(fleet.kill_all)  # a warm shutdown takes four seconds, and here nobody looks at it
        return fleet

    def kill_workers(self, fleet: Fleet) -> None:
        """SIGKILL every worker with its children."""
        fleet.kill_all()

    def start_sagas(self, orders: Sequence[Order]) -> None:
        """Start a saga for each order, in a process of its own, as a web application would."""
        code = (
            "from workers.catalogue import northwind\n"
            "from workers.demo.launch import start_orders\n"
            f"ids = {[order.id for order in orders]!r}\n"
            "start_orders([order for order in northwind().orders if order.id in ids])\n"
        )
        self.python(code)

    def python(self, code: str) -> str:
        """Run code in the environment of the deployment; what it printed."""
        return self._run([*warm_python(), "-c", code])

    def saga(self, *arguments: str) -> str:
        """`celery -A workers.coordinator saga …`; what it printed."""
        return self._run([*warm_python(), "-m", "celery", "--app", "workers.coordinator", "saga", *arguments])

    def saga_json(self, *arguments: str) -> list[dict[str, Any]]:
        """The same with `--json`."""
        return [json.loads(line) for line in self.saga(*arguments, "--json").splitlines()]

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Read the sagas' database."""
        engine = create_engine(self.databases.saga, poolclass=NullPool)
        with engine.begin() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def states(self) -> dict[str, int]:
        """How many sagas are in which state."""
        return dict(self.query("SELECT state, count(*) FROM saga GROUP BY state"))  # type: ignore[arg-type]

    def ended(self) -> int:
        """How many sagas have ended."""
        return sum(count for state, count in self.states().items() if state in ENDED)

    def await_that(self, condition: Callable[[], bool], what: str, seconds: float = 240) -> None:
        """Poll until the deployment shows `condition`; fail with the states when it never does."""

        def failure() -> str:
            return f"{what} did not come about within {seconds} s: {self.states()}"

        await_that(condition, failure, seconds=seconds, poll=POLL)

    def reconcile(self, orders: Sequence[Order]) -> Report:
        """Hold the services' books against the sagas."""
        return reconcile(self.databases, orders)

    def _run(self, command: Sequence[str]) -> str:
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def first_orders(count: int) -> Sequence[Order]:
    """The first orders of the catalogue."""
    return northwind().orders[:count]
