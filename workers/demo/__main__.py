"""`python -m workers.demo`: from nothing to balanced books in one command."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from workers.catalogue import Order, northwind
from workers.demo.broker import Broker, open_broker
from workers.demo.fleet import APPLICATIONS, Fleet
from workers.demo.launch import start_orders
from workers.demo.options import Options, parse
from workers.demo.process import ROOT, NotStarted
from workers.demo.summary import as_json, print_summary
from workers.demo.watch import watch
from workers.reconcile import reconcile
from workers.reconcile.books import ENDED, count_states
from workers.reconcile.databases import Databases
from workers.reconcile.report import Report
from workers.sabotage import NothingToSpoil, spoil
from workers.seed import SERVICES, seed
from workers.service.provision import create_if_missing

VICTIM = "payments"


class CannotBegin(Exception):
    """The demo was pointed at something that it cannot use."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo, and answer the exit code."""
    options = parse(arguments)
    # With --json, standard output belongs to the script that reads it.
    console = Console(stderr=options.json, highlight=False)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    started = time.monotonic()
    try:
        ended, report = run(options, console)
    except (CannotBegin, NothingToSpoil, NotStarted) as reason:
        console.print(f"[red]{reason}[/]")
        return 2
    seconds = time.monotonic() - started
    console.print(f"{seconds:.1f} s in all")
    if options.json:
        print(as_json(report, seconds), flush=True)
    return 0 if ended and report.balanced else 1


def run(options: Options, console: Console) -> tuple[bool, Report]:
    """The whole run: whether all sagas ended in time, and what the reconciliation found."""
    orders = northwind().orders[: options.orders]
    with ExitStack() as stack:
        folder = stack.enter_context(_work_folder(options, console))
        databases = _databases(options, folder)
        broker = stack.enter_context(open_broker(options.broker, folder))
        environment = _environment(broker, databases)
        _announce(options, broker, databases, console)
        _migrate(databases, environment)
        _seed(databases, options.stock_factor)
        fleet = stack.enter_context(Fleet(folder, environment, options.concurrency))
        console.print(f"Workers ready: {', '.join(APPLICATIONS)}")
        ended = _run_sagas(orders, options, databases, fleet, console)
        if options.sabotage:
            console.print(f"[yellow]Sabotage: {spoil(options.sabotage, databases)}[/]")
        report = reconcile(databases, orders)
        print_summary(report, console)
        report.print(console)
        return ended, report


def _run_sagas(orders: Sequence[Order], options: Options, databases: Databases, fleet: Fleet, console: Console) -> bool:
    def strike() -> None:
        console.print(f"[yellow]SIGKILL to the {VICTIM} worker (process {fleet.kill(VICTIM)}) and its children[/]")
        console.print(f"[yellow]A new {VICTIM} worker starts (process {fleet.restart(VICTIM)})[/]")

    start_orders(orders)
    console.print(f"{len(orders)} sagas started")
    ended = watch(databases, console, total=len(orders), seconds=options.time_limit, at_a_third=strike)
    if not ended:
        states = count_states(databases)
        still = ", ".join(f"{count} {state}" for state, count in states.items() if state not in ENDED)
        console.print(f"[red]The time limit of {options.time_limit} s is over; still open: {still or 'unknown'}[/]")
    return ended


def _databases(options: Options, folder: Path) -> Databases:
    return Databases(
        saga=options.database or f"sqlite:///{folder}/saga.db",
        service=options.service_database or f"sqlite:///{folder}/{{service}}.db",
    )


def _environment(broker: Broker, databases: Databases) -> dict[str, str]:
    environment = {
        **broker.environment(),
        "SAGA_DATABASE_URL": databases.saga,
        "SERVICE_DATABASE_URL": databases.service,
    }
    # The demo itself starts the sagas, through the same application as the coordinator.
    os.environ.update(environment)
    return environment


def _announce(options: Options, broker: Broker, databases: Databases, console: Console) -> None:
    console.print(f"Broker: {broker.description}")
    console.print(f"Sagas: {'the given database' if options.database else 'SQLite'}; services: a database each")
    console.print(f"Stock: {options.stock_factor} x Northwind's (--stock-factor); {options.orders} orders")


def _migrate(databases: Databases, environment: dict[str, str]) -> None:
    create_if_missing(databases.saga)
    migration = subprocess.run(
        [sys.executable, "-m", "celery", "--app", "workers.coordinator", "saga", "migrate"],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if migration.returncode:
        raise CannotBegin(f"saga migrate failed:\n{migration.stdout}{migration.stderr}")
    if count_states(databases):
        raise CannotBegin("the sagas' database holds orders of an earlier run: give an empty one")


def _seed(databases: Databases, stock_factor: int) -> None:
    for service in SERVICES:
        if not seed(service, databases.url(service), stock_factor=stock_factor):
            raise CannotBegin(f"the database of {service} was used before: give an empty one")


@contextmanager
def _work_folder(options: Options, console: Console) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="saga-demo-"))
    try:
        yield folder
    finally:
        if options.keep:
            console.print(f"Databases and logs are kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
