"""The shop of the command line's tests, and the group with the command, whatever is installed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from saga_celery.cli import saga
from saga_celery.contrib.ui import command
from tests.cli.conftest import Shop, own_registry, shop, unmigrated

__all__ = ["Shop", "own_registry", "shop", "unmigrated"]


@pytest.fixture
def with_ui(monkeypatch: pytest.MonkeyPatch) -> None:
    """As its entry point has it, which a test process may have been installed without."""
    monkeypatch.setitem(saga.commands, "ui", command.ui)


def ask(address: str, path: str = "", *, method: str = "GET", body: Any = None, **headers: str) -> tuple[int, str]:
    """Status and text of an answer. Underscores in names of headers are hyphens."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, f"/{path}", text, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@dataclass
class Visit:
    """Somebody who looks at the page as soon as this process serves it, and then ends it by a signal."""

    then: Callable[[str], Any] = ask
    end: signal.Signals = signal.SIGTERM
    saw: list[Any] = field(default_factory=list)
    _thread: threading.Thread | None = None

    def told(self, address: str) -> None:
        self._thread = threading.Thread(target=self._look, args=(address,))
        self._thread.start()

    def _look(self, address: str) -> None:
        try:
            self.saw.append(self.then(address))
        finally:
            os.kill(os.getpid(), self.end)

    def over(self) -> None:
        if self._thread is not None:
            self._thread.join()


@pytest.fixture
def visited(monkeypatch: pytest.MonkeyPatch):
    """Make the next `saga ui` of this process have a visitor."""
    made: list[Visit] = []
    tell = command._tell

    def visit(then: Callable[[str], Any] = ask, end: signal.Signals = signal.SIGTERM) -> Visit:
        made.append(Visit(then, end))

        def told(address: str, *more: Any) -> None:
            tell(address, *more)
            made[-1].told(address)

        monkeypatch.setattr(command, "_tell", told)
        return made[-1]

    yield visit
    for each in made:
        each.over()
