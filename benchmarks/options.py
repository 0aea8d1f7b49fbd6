"""What can be asked for on the command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

SECTIONS = ("throughput", "starts", "transitions", "storage", "history", "memory", "console")
USUAL = SECTIONS[:4]
"""Without --only."""
QUICK = (20, 1, 200, 100, 40, 400)
FULL = (300, 5, 100_000, 5_000, 1_000, 10_000)
"""Sagas a round, rounds, finished sagas, sagas that memory is measured with, starts, and starts at once."""
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
    starts: int
    batch: int
    stored: int
    calls: int
    children: int
    json: bool
    out: Path | None
    """Where the figures are written."""
    is_whole: bool
    """Everything was asked for that the page in the docs tells."""
    mariadb_url: str | None
    peers: bool


def parse(arguments: list[str]) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Sagas of five no-op steps, measured.")
    add = parser.add_argument
    add("--quick", action="store_true", help="small counts: it works; not how fast")
    add("--json", action="store_true", help="the last line is one JSON object with the figures that count")
    add("--out", type=Path, metavar="FOLDER", help="write all figures and the picture there, besides what is printed")
    add("--only", choices=SECTIONS, action="append", help="measure this only; may be given more than once")
    add("--databases", default="postgresql,sqlite,mariadb", help="comma-separated (%(default)s)")
    add("--subjects", default="messages,run_on,foreign", help="comma-separated (%(default)s)")
    add("--sagas", type=int, help="sagas in each round")
    add("--rounds", type=int, help="rounds; the medians count")
    add("--finished", type=int, help="finished sagas that are weighed, or stand in the full tables")
    add("--memory-sagas", type=int, help="sagas that a worker runs before its memory is looked at again")
    add("--starts", type=int, help="sagas started one by one in each round")
    add("--batch", type=int, help="sagas started at once in each round")
    add("--stored", type=int, help="sagas in the store that the console looks at")
    add("--calls", type=int, default=30, help="calls of each function of the console (%(default)s)")
    add("--children", type=int, default=2, help="pool processes of each variant (%(default)s)")
    add("--no-peers", dest="peers", action="store_false", help="leave other libraries out")
    add("--mariadb-url", metavar="URL", help="a MariaDB server; databases of its own are made there, and dropped")
    found = parser.parse_args(arguments)
    sagas, rounds, finished, memory, starts, batch = QUICK if found.quick else FULL
    databases = tuple(name for name in found.databases.split(",") if name)
    if unknown := set(databases) - set(DATABASES):
        parser.error(f"unknown databases: {', '.join(sorted(unknown))}")
    sections = tuple(found.only or USUAL)
    return Options(
        sections=sections,
        databases=databases,
        subjects=tuple(found.subjects.split(",")),
        sagas=found.sagas or sagas,
        rounds=found.rounds or rounds,
        finished=found.finished or finished,
        memory_sagas=found.memory_sagas or memory,
        starts=found.starts or starts,
        batch=found.batch or batch,
        stored=found.stored or (2_000 if found.quick else 1_000_000),
        calls=found.calls,
        children=found.children,
        json=found.json,
        out=found.out,
        is_whole=not (found.quick or found.only)
        and all(getattr(found, name) == parser.get_default(name) for name in ("databases", "subjects", "peers")),
        mariadb_url=found.mariadb_url,
        peers=found.peers and "throughput" in sections,
    )
