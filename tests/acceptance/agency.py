"""The Flask travel agency of `workers/agency`, started as its user starts it, and looked at from outside."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from tests.polling import await_that
from workers.demo.process import Process

PATIENCE = 120.0
POLL = 0.05


class Agency:
    """`python -m workers.agency --json`, its files in `folder`.

    Args:
        folder: for the database and the logs.
        options: more of its command line.
        database: where it is told to keep its rows; None: its own SQLite file.
    """

    def __init__(self, folder: Path, *options: str, database: str | None = None) -> None:
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "workers.agency", "--json", "--folder", str(folder), *options]
        command += ["--database", database] if database else []
        self.folder = folder
        self._log = folder / "agency.log"
        self._process = Process("agency", command, log=self._log, environment={"NO_COLOR": "1"})
        self._database = sa.create_engine(database or f"sqlite:///{folder / 'agency.db'}", poolclass=NullPool)
        self.url = self.agent = self.trainee = self.password = ""

    def __enter__(self) -> Self:
        try:
            self._process.await_log('"url"')
        except BaseException:
            self._process.stop()
            raise
        said = next(line for line in self._log.read_text().splitlines() if line.startswith("{"))
        for name in ("url", "agent", "trainee", "password"):
            setattr(self, name, json.loads(said)[name])
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    def query(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """Read the agency's database."""
        with self._database.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(statement), values)]

    def states(self) -> dict[str, int]:
        """How many sagas are in which state."""
        return dict(self.query("SELECT state, count(*) FROM saga GROUP BY state"))  # type: ignore[arg-type]

    def await_that(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Poll until `condition` holds; fail with the states when it never does."""

        def failure() -> str:
            return f"{what} did not come about within {seconds} s: {self.states()}"

        await_that(condition, failure, seconds=seconds, poll=POLL)


def screenshots() -> Path | None:
    """Where pictures for the docs go, when `SAGA_SCREENSHOTS=1` asks for them."""
    if os.environ.get("SAGA_SCREENSHOTS") != "1":
        return None
    folder = Path(__file__).parents[2] / "docs" / "images"
    folder.mkdir(exist_ok=True)
    return folder
