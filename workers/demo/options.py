"""What the demo may be told on its command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from workers.catalogue import northwind
from workers.sabotage import SABOTAGES
from workers.seed import DEFAULT_STOCK_FACTOR

DESCRIPTION = """\
Run the Northwind orders as sagas: embedded broker, SQLite and all workers in a temporary folder, one worker killed
midway, then a reconciliation of all books. Exits 0 when they balance, 1 when they do not or the time is over, and 2
when it could not begin."""

SERVERS = """\
With --broker or --database, give a broker and a database that nothing else uses: a database that holds orders of an
earlier run is refused. The services keep SQLite files of their own unless --service-database names a server; its
databases are created where they are missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The choices for one run."""

    broker: str | None
    database: str | None
    service_database: str | None
    stock_factor: int
    orders: int
    sabotage: str | None
    json: bool
    keep: bool
    concurrency: int
    time_limit: int


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    every = len(northwind().orders)
    parser = argparse.ArgumentParser(prog="python -m workers.demo", description=DESCRIPTION, epilog=SERVERS)
    parser.add_argument("--broker", metavar="URL", help="a broker that runs already")
    parser.add_argument("--database", metavar="URL", help="the sagas' database (SQLAlchemy URL)")
    parser.add_argument(
        "--service-database", metavar="URL", help="the services' databases; {service} stands for the service's name"
    )
    parser.add_argument(
        "--stock-factor",
        type=_positive,
        default=DEFAULT_STOCK_FACTOR,
        metavar="N",
        help="multiply Northwind's stock by N; default: %(default)s",
    )
    parser.add_argument(
        "--orders", type=_positive, default=every, metavar="N", help="run the first N orders; default: all %(default)s"
    )
    parser.add_argument("--sabotage", choices=sorted(SABOTAGES), help="spoil one table before the reconciliation")
    parser.add_argument("--json", action="store_true", help="end with one JSON object on standard output")
    parser.add_argument("--keep", action="store_true", help="keep the folder with databases and logs")
    parser.add_argument(
        "--concurrency", type=_positive, default=2, metavar="N", help="processes per worker; default: %(default)s"
    )
    parser.add_argument(
        "--time-limit", type=_positive, default=170, metavar="SECONDS", help="for all sagas; default: %(default)s"
    )
    options = vars(parser.parse_args(arguments))
    return Options(**{**options, "orders": min(options["orders"], every)})


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number
