"""Flower as people start it, on the database of a shop whose sagas the test moves by hand."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import own_registry, shop, unmigrated
from tests.installed import install_entry_points
from tests.polling import await_that

__all__ = ["own_registry", "shop", "unmigrated"]

ROOT = Path(__file__).parents[3]
PATIENCE = 120.0
PROJECT = """\
from celery import Celery

from saga_celery import SagaApp

app = Celery("shop", broker={broker!r})
app.conf.update({settings!r})
SagaApp(app)
"""


@dataclass
class Answer:
    """Of Flower."""

    status: int
    headers: Message
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Flower:
    """A process; it listens when this returns.

    Args:
        folder: where the module `proj` is.
        options: of the command line.
        environment: what differs from ours.
    """

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        environment["PYTHONPATH"] = os.pathsep.join([str(folder), str(ROOT)])
        self.log: list[str] = []
        self._listens = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "proj", "flower", "--port=0", "--address=127.0.0.1", *options],
            cwd=folder,
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        listens = self._listens.wait(PATIENCE)
        (self.port,) = self._ports() or (0,)
        if not (listens and self.port):
            self.stop()
            pytest.fail("Flower does not listen:\n" + "".join(self.log))
        # Flower 2.0 tells where it listens before it does.
        await_that(self._answers, lambda: "Flower does not listen", seconds=PATIENCE, poll=0.05)

    def ask(self, path: str, *, method: str = "GET", body: Any = None, **headers: str) -> Answer:
        """Ask once; redirects are answers. Underscores in names of headers are hyphens. A body is JSON, unless said."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        text = None if body is None else json.dumps(body)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, text, sent)
            response: HTTPResponse = connection.getresponse()
            return Answer(response.status, response.headers, response.read().decode())
        finally:
            connection.close()

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._reader.join()

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self.log.append(line)
                if self._ports():
                    self._listens.set()
        self._listens.set()  # it has ended

    def _answers(self) -> bool:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port), PATIENCE):
            return True
        return False

    def _ports(self) -> list[int]:
        return [int(port) for port in re.findall(r"Visit me at http://127\.0\.0\.1:(\d+)", "".join(self.log))]


@pytest.fixture
def flower(shop, redis_server, tmp_path) -> Iterator[Callable[..., Flower]]:
    """Starts `celery -A proj flower` with options, with `saga_*` settings, and with more code in the module `proj`."""
    made: list[Flower] = []

    def start(*options: str, settings: dict[str, Any] | None = None, code: str = "", **environment: str) -> Flower:
        settings = {"saga_database_url": shop.app.conf.saga_database_url, **(settings or {})}
        (tmp_path / "proj.py").write_text(PROJECT.format(broker=redis_server.url, settings=settings) + code)
        install_entry_points(tmp_path)
        made.append(Flower(tmp_path, *options, **environment))
        return made[-1]

    yield start
    for each in made:
        with suppress(ProcessLookupError):
            each.stop()
