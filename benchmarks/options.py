"""What can be asked for on the command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

SECTIONS = ("throughput", "transitions", "history", "memory", "console")
DATABASES = ("postgresql", "sqlite", "mariadb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much is measured."""

    sections: tuple[str, ...]
    databases: tuple[str, ...]
    subjects: tuple[str, ...]
    sagas: int
    rounds: int
    finished: int
    memory_sagas: int
    stored: int
    calls: int
    children: int
    json: bool
    mariadb_url: str | None
    peers: bool

    @property
    def looks(self) -> int:
        """Single sagas timed on idle workers."""
        return min(self.sagas, 100)


def parse(arguments: list[str]) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Sagas of five no-op steps, measured.")
    add = parser.add_argument
    add("--quick", action="store_true", help="small counts: shows that it works, not how fast")
    add("--json", action="store_true", help="print the figures as JSON")
    add("--only", choices=SECTIONS, action="append", help="measure this only; may be given more than once")
    add("--databases", default="postgresql,sqlite,mariadb", help="comma-separated (%(default)s)")
    add("--subjects", default="messages,run_on,foreign", help="comma-separated (%(default)s)")
    add("--sagas", type=int, help="sagas in each round")
    add("--rounds", type=int, help="rounds; the medians count")
    add("--finished", type=int, help="finished sagas in the full tables")
    add("--memory-sagas", type=int, help="sagas that a worker runs before its memory is looked at again")
    add("--stored", type=int, help="sagas in the store that the console looks at")
    add("--calls", type=int, default=30, help="calls of each function of the console (%(default)s)")
    add("--children", type=int, default=2, help="pool processes of each variant (%(default)s)")
    add("--no-peers", dest="peers", action="store_false", help="leave other libraries out")
    add("--mariadb-url", metavar="URL", help="a MariaDB server; databases of its own are made there, and dropped")
    found = parser.parse_args(arguments)
    sagas, rounds, finished, memory = (20, 1, 1_000, 100) if found.quick else (200, 5, 100_000, 5_000)
    databases = tuple(name for name in found.databases.split(",") if name)
    if unknown := set(databases) - set(DATABASES):
        parser.error(f"unknown databases: {', '.join(sorted(unknown))}")
    sections = tuple(found.only or (SECTIONS[:3] if found.quick else SECTIONS))
    return Options(
        sections=sections,
        databases=databases,
        subjects=tuple(found.subjects.split(",")),
        sagas=found.sagas or sagas,
        rounds=found.rounds or rounds,
        finished=found.finished or finished,
        memory_sagas=found.memory_sagas or memory,
        stored=found.stored or (2_000 if found.quick else 1_000_000),
        calls=found.calls,
        children=found.children,
        json=found.json,
        mariadb_url=found.mariadb_url,
        peers=found.peers and "throughput" in sections,
    )
