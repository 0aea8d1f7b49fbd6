"""Sends invocations to the server of Restate, one after the other on one connection."""

from __future__ import annotations

import json
import os
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.names import STEPS
from benchmarks.serving import serve

STARTUP_SECONDS = 60.0


class Invocations:
    """Started without waiting, and their ends seen by the bytes that they leave."""

    def __init__(self) -> None:
        addresses = json.loads(os.environ["BENCH_RESTATE"])
        self._ended = Path(os.environ["BENCH_FOLDER"]) / "ended"
        self._started: list[str] = []
        _register(HTTPConnection(addresses["admin"]), f"http://{addresses['steps']}")
        self._ingress = HTTPConnection(addresses["ingress"])

    def start(self, work: str) -> None:
        """Start one."""
        self._started.append(_ask(self._ingress, "POST", "/Bench/five/send", work)["invocationId"])

    def all_ended(self) -> bool:
        """Whether all have left their byte."""
        return self._ended.exists() and self._ended.stat().st_size >= len(self._started)

    def check(self) -> None:
        """Ask for the results, which waits until the server has them."""
        found = {_ask(self._ingress, "GET", f"/restate/invocation/{each}/attach") for each in self._started}
        assert found == {STEPS}, found
        self._started.clear()
        self._ended.unlink()


def _register(admin: HTTPConnection, uri: str) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while True:
        try:
            _ask(admin, "POST", "/deployments", {"uri": uri})
            return
        except (OSError, AssertionError):  # neither server may be up yet
            admin.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _ask(connection: HTTPConnection, method: str, path: str, body: Any = None) -> Any:
    text = json.dumps(body) if body is not None else None
    connection.request(method, path, text, {"content-type": "application/json"} if text else {})
    response = connection.getresponse()
    answer = response.read()
    assert response.status < 300, f"{path}: {response.status} {answer.decode(errors='replace')}"
    return json.loads(answer)


if __name__ == "__main__":
    serve(Invocations())
