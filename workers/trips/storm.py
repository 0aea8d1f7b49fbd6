"""Strike workers down at random moments, while trips are under way."""

from __future__ import annotations

import random  # noqa: TID251 - chance decides who is struck, and when; its seed makes a run repeatable
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console

from workers.demo.fleet import Fleet
from workers.reconcile.databases import Databases
from workers.trips.books import ENDED, count_states

POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """One SIGKILL."""

    after: int
    """Ended trips that it waits for, so that there is work under way whatever the speed of the machine."""
    worker: str
    """Empty: all of them at once, and every message in the broker is lost."""


def strikes(count: int, total: int, workers: Sequence[str], seed: int, *, blackout: bool = False) -> Sequence[Strike]:
    """As many strikes, the earliest first; none of them comes when less than a tenth of the trips is left.

    Args:
        count: how many SIGKILLs of one worker.
        total: of the trips.
        workers: their names.
        seed: of the chance in it.
        blackout: one more strike hits everything.
    """
    chance = random.Random(f"strikes {seed}")  # noqa: S311 - nothing is kept secret by it
    struck = [chance.choice(workers) for _ in range(count)] + [""] * blackout
    found = [Strike(after=chance.randrange(max(1, total - total // 10)), worker=worker) for worker in struck]
    return tuple(sorted(found, key=lambda strike: strike.after))


def ride_out(
    fleet: Fleet,
    coming: Sequence[Strike],
    databases: Databases,
    console: Console,
    *,
    flush: Callable[[], None],
    total: int,
    seconds: float,
) -> bool:
    """Strike when it is time, start anew what was struck, and wait for the end; False when the time is over before."""
    deadline = time.monotonic() + seconds
    left = list(coming)
    while time.monotonic() < deadline:
        ended = sum(count for state, count in count_states(databases).items() if state in ENDED)
        while left and left[0].after <= ended:
            console.print(f"[yellow]{ended} ended: {_strike(fleet, left.pop(0).worker, flush)}[/]")
        if ended >= total and not left:
            return True
        time.sleep(POLL_SECONDS)
    return False


def _strike(fleet: Fleet, worker: str, flush: Callable[[], None]) -> str:
    if worker:
        killed, fresh = fleet.kill(worker), fleet.restart(worker)
        return f"SIGKILL to {worker} ({killed}); {fresh} takes its place"
    fleet.kill_all()
    flush()
    fleet.restart_all()
    return "SIGKILL to all workers, and FLUSHALL; all of them are started anew"
