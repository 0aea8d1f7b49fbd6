"""How drivers talk with the benchmark. Imports nothing that peers' interpreters might lack.

Each line on a driver's standard input is a request, such as `{"count": 200, "work": "steps"}`, `{"hops": 20}`,
`{"starts": 100}` or `{"start_many": 1000}`; each line of its output an answer, the first one telling that it is ready.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

from benchmarks.stamps import take_stamps

LONGEST = 600.0
"""Seconds after which a driver gives up."""
LOOK_EVERY = 0.01


class Subject(Protocol):
    """Something that can be started, and whose end can be seen."""

    def start(self, work: str) -> None:
        """Start one: its work is `steps`, `stamps` or `undo`."""
        ...

    def all_ended(self) -> bool:
        """Whether everything that was started has ended."""
        ...

    def check(self) -> None:
        """Raise where anything ended otherwise than it should."""
        ...


@runtime_checkable
class Batches(Protocol):
    """Something that can be started in large numbers."""

    def start_many(self, count: int) -> None:
        """Start so many at once, for `steps`."""
        ...


def serve(subject: Subject) -> None:
    """Answer until the input ends."""
    print("{}", flush=True)
    for line in sys.stdin:
        print(json.dumps(_answer(subject, json.loads(line))), flush=True)


def _answer(subject: Subject, asked: dict[str, Any]) -> dict[str, Any]:
    if "hops" in asked:
        return {"hops": [hop for _ in range(asked["hops"]) for hop in _hops(subject)]}
    if "starts" in asked:
        return {"start": _rate(asked["starts"], lambda: _start(subject, asked["starts"], "steps"))}
    if "start_many" in asked and isinstance(subject, Batches):
        return {"start_many": _rate(asked["start_many"], lambda: subject.start_many(asked["start_many"]))}
    return _run(subject, asked["count"], asked["work"], LOOK_EVERY)


def _start(subject: Subject, count: int, work: str) -> None:
    for _ in range(count):
        subject.start(work)


def _rate(count: int, act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return count / (time.perf_counter() - began)


def _run(subject: Subject, count: int, work: str, look_every: float) -> dict[str, float]:
    began = time.perf_counter()
    _start(subject, count, work)
    while not subject.all_ended():
        time.sleep(look_every)
        if time.perf_counter() - began > LONGEST:
            raise SystemExit(f"not ended within {LONGEST:g} s")
    seconds = time.perf_counter() - began
    subject.check()
    return {"count": count, "seconds": seconds}


def _hops(subject: Subject) -> list[float]:
    """Seconds from the beginning of each step to that of the next one, of one saga that is alone."""
    _run(subject, 1, "stamps", 0.005)
    stamps = take_stamps()
    return [after - before for before, after in pairwise(stamps)]
