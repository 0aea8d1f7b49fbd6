"""`python -m workers.trips`: trips on real workers, refused and struck down at random; exits 0 when all balances."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import redis
from rich.console import Console

from workers.demo.broker import open_broker
from workers.demo.fleet import Fleet
from workers.demo.folder import work_folder
from workers.demo.process import ROOT, NotStarted
from workers.reconcile.databases import Databases
from workers.reconcile.report import Report
from workers.service.provision import create_if_missing
from workers.trips.checks import reconcile
from workers.trips.start import start_trips
from workers.trips.storm import ride_out, strikes
from workers.trips.wanted import wanted
from workers.trips.world import UsedBefore, fill

APPLICATIONS = {
    "coordinator": "workers.coordinator",
    "travel": "workers.travel_desk",
    "payments": "workers.payments",
    "notifications": "workers.notifications",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run trips, and answer the exit code: 1 when something does not balance, 2 when the run could not begin."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=options.json, highlight=False)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    started = time.monotonic()
    try:
        ended, report = run(options, console)
    except (UsedBefore, NotStarted, subprocess.CalledProcessError) as reason:
        console.print(f"[red]{reason}[/]")
        return 2
    seconds = time.monotonic() - started
    report.print(console)
    console.print(f"{dict(report.states)}; refused: {dict(report.refusals)}; {seconds:.1f} s in all")
    if options.json:
        print(_as_json(report, ended, options.kills, seconds), flush=True)
    return 0 if ended and report.balanced else 1


def run(options: argparse.Namespace, console: Console) -> tuple[bool, Report]:
    """The whole run: whether all trips ended in time, and what the reconciliation found."""
    trips = wanted(options.trips, options.seed)
    with ExitStack() as stack:
        folder = stack.enter_context(work_folder(options.folder, prefix="saga-trips-"))
        databases = Databases(
            saga=options.database or f"sqlite:///{folder}/saga.db",
            service=options.service_database or f"sqlite:///{folder}/{{service}}.db",
        )
        broker = stack.enter_context(open_broker(options.broker, folder))
        environment = {
            **broker.environment(),
            "SAGA_DATABASE_URL": databases.saga,
            "SERVICE_DATABASE_URL": databases.service,
            "SAGA_QUEUE_GRACE": str(options.queue_grace),
        }
        os.environ.update(environment)  # the trips are started from here, through the coordinator's application
        create_if_missing(databases.saga)
        _migrate()
        fill(databases, trips)
        fleet = stack.enter_context(Fleet(folder, environment, options.concurrency, APPLICATIONS))
        console.print(f"{broker.description}; {options.trips} trips, {options.kills} SIGKILLs, seed {options.seed}")
        start_trips(trips)
        coming = strikes(options.kills, options.trips, list(APPLICATIONS), options.seed, blackout=options.blackout)
        ended = ride_out(
            fleet,
            coming,
            databases,
            console,
            flush=lambda: _flush(broker.url),
            total=options.trips,
            seconds=options.time_limit,
        )
        return ended, reconcile(databases, trips)


def _migrate() -> None:
    command = [sys.executable, "-m", "celery", "--app", "workers.coordinator", "saga", "migrate"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def _flush(broker: str) -> None:
    with redis.Redis.from_url(broker) as client:
        client.flushall()


def _as_json(report: Report, ended: bool, kills: int, seconds: float) -> str:
    said = {"ended": ended, "balanced": report.balanced, "differences": report.differences, "states": report.states}
    return json.dumps({**said, "refusals": report.refusals, "kills": kills, "seconds": round(seconds, 1)})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers.trips", description=__doc__)
    parser.add_argument("--trips", type=int, default=100, metavar="N", help="default: %(default)s")
    parser.add_argument("--kills", type=int, default=5, metavar="N", help="SIGKILLs; default: %(default)s")
    parser.add_argument(
        "--blackout", action="store_true", help="once, kill all workers and lose all messages (a Redis of this run)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the chance in it; default: %(default)s")
    parser.add_argument("--broker", metavar="URL", help="a broker that nothing else uses; default: an embedded one")
    parser.add_argument("--database", metavar="URL", help="an empty one, for the sagas; default: SQLite")
    parser.add_argument(
        "--service-database", metavar="URL", help="{service} in it stands for the service's name; default: SQLite"
    )
    parser.add_argument(
        "--folder", type=Path, metavar="PATH", help="where databases and logs are kept; default: nowhere"
    )
    parser.add_argument("--concurrency", type=int, default=2, metavar="N", help="processes per worker")
    parser.add_argument(
        "--queue-grace",
        type=float,
        default=30,
        metavar="SECONDS",
        help="until a message is sent again that nobody took",
    )
    parser.add_argument("--time-limit", type=float, default=300, metavar="SECONDS", help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="end with one JSON object on standard output")
    return parser


if __name__ == "__main__":
    sys.exit(main())
