"""What the agency may be told on its command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DESCRIPTION = """\
A travel agency in Flask, on this machine only: an embedded broker, SQLite and a worker of its own in a temporary
folder, until Ctrl-C. Its address is printed when it is ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The choices for one run."""

    port: int
    json: bool
    broker: str | None
    database: str | None
    folder: Path | None
    pace: float
    places: int
    concurrency: int


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m workers.agency", description=DESCRIPTION)
    parser.add_argument("--port", type=int, default=0, help="of the web server; default: any that is free")
    parser.add_argument(
        "--json", action="store_true", help="when ready, print one JSON object with url, agent, password"
    )
    parser.add_argument("--broker", metavar="URL", help="a broker that runs already")
    parser.add_argument(
        "--database", metavar="URL", help="an empty database, or one of an earlier run (SQLAlchemy URL)"
    )
    parser.add_argument("--folder", type=Path, metavar="DIR", help="keep the database and the logs there")
    parser.add_argument(
        "--pace",
        type=float,
        default=0.8,
        metavar="SECONDS",
        help="what airlines and banks take for each thing, so that one can watch; default: %(default)s",
    )
    parser.add_argument(
        "--places", type=int, default=40, metavar="N", help="seats and beds for each destination; default: %(default)s"
    )
    parser.add_argument(
        "--concurrency", type=int, default=2, metavar="N", help="processes of the worker; default: %(default)s"
    )
    return Options(**vars(parser.parse_args(arguments)))
