"""How drivers talk with the benchmark. Imports nothing that peers' interpreters might lack.

Each line on a driver's standard input is a request, `{"count": 200}` or `{"latency": 20}`; each line of its output an
answer, the first one telling that it is ready.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Protocol

LONGEST = 1200.0
"""Seconds after which a driver gives up."""


class Subject(Protocol):
    """Something that can be started, and whose end can be seen."""

    def start(self) -> None:
        """Start one."""
        ...

    def all_ended(self) -> bool:
        """Whether everything that was started has ended."""
        ...


def serve(subject: Subject) -> None:
    """Answer until the input ends."""
    print("{}", flush=True)
    for line in sys.stdin:
        print(json.dumps(_answer(subject, json.loads(line))), flush=True)


def _answer(subject: Subject, asked: dict[str, Any]) -> dict[str, Any]:
    if "latency" in asked:
        return {"latencies": [_run(subject, 1, 0.0005)["seconds"] for _ in range(asked["latency"])]}
    return _run(subject, asked["count"], 0.01)


def _run(subject: Subject, count: int, look_every: float) -> dict[str, float]:
    began = time.perf_counter()
    for _ in range(count):
        subject.start()
    started = time.perf_counter()
    while not subject.all_ended():
        time.sleep(look_every)
        if time.perf_counter() - began > LONGEST:
            raise SystemExit(f"not ended within {LONGEST:g} s")
    return {"count": count, "starting": started - began, "seconds": time.perf_counter() - began}
