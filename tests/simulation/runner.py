"""Run many worlds, count what happened in them, and show the first that went wrong so that a person can follow it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.simulation.ledger import Violation
from tests.simulation.world import World

SHOWN = 120
"""Lines of a trace that are shown."""


@dataclass
class Report:
    """What a run of seeds saw."""

    worlds: int = 0
    seconds: float = 0.0
    fired: Counter[str] = field(default_factory=Counter)
    """Faults by kind."""
    seen: Counter[str] = field(default_factory=Counter)
    """Facts, ends, and what else is worth counting."""

    @property
    def rate(self) -> float:
        return self.worlds / self.seconds if self.seconds else 0.0


def simulate(seeds: Iterable[int]) -> Report:
    """Run worlds until one breaks a promise.

    Raises:
        Violation: names the seed, and ends with the readable trace of that world.
    """
    report = Report()
    began = time.perf_counter()
    for seed in seeds:
        world = World(seed)
        try:
            with quiet_log():
                world.run()
        except (Violation, Exception) as broken:
            raise Violation(f"seed {seed}: {broken!r}\n{trace(seed)}") from broken
        report.worlds += 1
        report.fired += world.fired
        report.seen += world.seen
    report.seconds = time.perf_counter() - began
    return report


def first_violation(seeds: Iterable[int]) -> int | None:
    """The first seed whose world breaks a promise or ends with an error; None when all are well."""
    for seed in seeds:
        try:
            with quiet_log():
                World(seed).run()
        except (Violation, Exception):
            return seed
    return None


def trace(seed: int) -> str:
    """What happened in a world, line by line, to its end or to the first promise that it broke."""
    world = World(seed, trace=True)
    last = "all is well"
    try:
        with quiet_log():
            world.run()
    except (Violation, Exception) as broken:
        last = f"{type(broken).__name__}: {broken}"
    shape = [f"{each.plan.saga} {name}: {step}" for each in world.shape.all() for name, step in each.steps.items()]
    lines = world.lines or []
    skipped = [f"… {len(lines) - SHOWN} lines before …"] if len(lines) > SHOWN else []
    return "\n".join([*shape, *skipped, *lines[-SHOWN:], last])


class quiet_log:  # noqa: N801 - reads like the function that it stands in for
    """What the engine logs about simulated faults is no news."""

    def __enter__(self) -> None:
        logging.disable(logging.CRITICAL)

    def __exit__(self, *_: object) -> None:
        logging.disable(logging.NOTSET)
