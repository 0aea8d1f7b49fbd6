"""Reconcile a deployment: `python -m workers.reconcile`; exits 1 when the books do not balance."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from workers.catalogue import northwind
from workers.reconcile import reconcile
from workers.reconcile.databases import Databases
from workers.sabotage import SABOTAGES, NothingToSpoil, spoil
from workers.settings import settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Spoil one row when asked to, reconcile, print, and answer the exit code."""
    options = _parser().parse_args(arguments)
    databases = Databases(saga=options.database, service=options.service_database)
    console = Console()
    if options.sabotage:
        try:
            console.print(f"Sabotage: {spoil(options.sabotage, databases)}")
        except NothingToSpoil as nothing:
            console.print(f"[red]{nothing}[/]")
            return 2
    report = reconcile(databases, northwind().orders[: options.orders])
    report.print(console)
    return 0 if report.balanced else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers.reconcile", description=__doc__)
    parser.add_argument("--database", default=settings().saga_database_url, help="the sagas' database")
    parser.add_argument(
        "--service-database",
        default=settings().service_database,
        help="the services' databases; {service} stands for the name",
    )
    parser.add_argument("--orders", type=int, help="how many orders were started, in order of id; default: all")
    parser.add_argument("--sabotage", choices=sorted(SABOTAGES), help="spoil one table first, to see it found")
    return parser


if __name__ == "__main__":
    sys.exit(main())
