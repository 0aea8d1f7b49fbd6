"""Long runs: `python -m tests.simulation --seeds 1000000 --start 0`. One process per core; give each its own start."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.ledger import Violation
from tests.simulation.runner import Report, simulate, trace

CHUNK = 1000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many worlds")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--trace", type=int, help="only show what happens in the world of this seed")
    asked = parser.parse_args()
    if asked.trace is not None:
        print(trace(asked.trace))
        return 0
    return soak(asked.start, asked.start + asked.seeds)


def soak(start: int, stop: int) -> int:
    total = Report()
    for first in range(start, stop, CHUNK):
        try:
            report = simulate(range(first, min(first + CHUNK, stop)))
        except Violation as broken:
            print(broken)
            return 1
        total.worlds += report.worlds
        total.seconds += report.seconds
        total.fired += report.fired
        total.seen += report.seen
        print(f"{total.worlds} worlds, {total.rate:.0f}/s, no violation", flush=True)
    print("faults:", dict(total.fired.most_common()))
    print("seen:", dict(total.seen.most_common()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
