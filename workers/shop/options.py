"""What the launcher may be told on its command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DESCRIPTION = """\
Open the shop on this machine: an embedded broker, an SQLite database, a worker and Django's server, until Ctrl-C.
Another database is named by SHOP_DATABASE_ENGINE, …_NAME, …_USER, …_PASSWORD, …_HOST and …_PORT, as in Django."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The choices for one run."""

    port: int
    broker: str | None
    folder: Path | None
    concurrency: int
    json: bool


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m workers.shop", description=DESCRIPTION)
    parser.add_argument("--port", type=int, default=0, metavar="N", help="of the server; default: one that is free")
    parser.add_argument("--broker", metavar="URL", help="a broker that runs already, and that nothing else uses")
    parser.add_argument("--folder", type=Path, help="where database and logs are kept; default: a folder for this run")
    parser.add_argument(
        "--concurrency", type=int, default=2, metavar="N", help="processes of the worker; default: %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="say where the shop is in one line of JSON")
    return Options(**vars(parser.parse_args(arguments)))
