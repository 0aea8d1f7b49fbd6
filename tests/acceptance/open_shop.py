"""The Django shop as a user opens it: one command, on embedded servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.django_process import database_settings
from tests.servers import warm_python
from workers.demo.process import ROOT

PATIENCE = 120
"""Seconds for anything that is waited for, on however busy a machine."""


@dataclass(frozen=True, kw_only=True)
class OpenShop:
    """A running shop, and its database."""

    url: str
    user: str
    password: str
    environment: Mapping[str, str]
    database: sa.Engine

    def ask(self, statement: str | sa.Select[Any]) -> list[tuple[Any, ...]]:
        """Read the shop's database, behind its back."""
        asked = sa.text(statement) if isinstance(statement, str) else statement
        with self.database.connect() as connection:
            return [tuple(row) for row in connection.execute(asked)]

    def manage(self, *command: str) -> str:
        """`manage.py …`; what it printed."""
        done = subprocess.run(
            [*warm_python(), "-m", "workers.shop.manage", *command],
            cwd=ROOT,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@contextmanager
def opened(
    folder: Path, *options: str, database: str = "", ends_with: int = 0, **environment: str
) -> Iterator[OpenShop]:
    """`python -m workers.shop --port 0 --json`, ended as by Ctrl-C; `database` is the URL of the one it shall use."""
    database = database or f"sqlite:///{folder}/shop.db"
    given = {**_database_environment(database), **environment}
    command = [sys.executable, "-m", "workers.shop", "--port", "0", "--json", "--folder", str(folder), *options]
    running = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **given}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    engine = sa.create_engine(database, poolclass=sa.NullPool)
    try:
        assert running.stdout is not None
        line = running.stdout.readline()
        assert line, running.communicate()[1]
        yield OpenShop(**json.loads(line), environment=given, database=engine)
    finally:
        running.send_signal(signal.SIGINT)
        try:
            _, errors = running.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            running.kill()  # its processes end with it, and its pipes are closed
            running.communicate()
            raise
    assert running.returncode == ends_with, f"ended with {running.returncode}\n{errors}"


def _database_environment(url: str) -> dict[str, str]:
    settings = database_settings(url)
    return {f"SHOP_DATABASE_{name}": str(value) for name, value in settings.items()}
