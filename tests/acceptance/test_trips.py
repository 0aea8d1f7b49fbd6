"""Trips booked side by side and paid by a child saga, refused at random, their workers struck down: all balances.

What is asked are the services' own tables. `SAGA_SOAK_TRIPS=500` (`make soak`) makes it 500 trips a test.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers import EmbeddedRedis
from workers.demo.process import ROOT
from workers.reconcile.databases import Databases
from workers.trips.books import read_books
from workers.trips.checks import reconcile
from workers.trips.wanted import SCARCE, Wanted, wanted

TRIPS = int(os.environ.get("SAGA_SOAK_TRIPS", "40"))
KILLS = max(3, TRIPS // 20)
SEED = 4
LIMIT = 240 + 6 * TRIPS
"""Seconds, on a machine that has much else to do."""
QUEUE_GRACE = 5 if TRIPS < 100 else 20
"""Sent again too early, messages of many trips at once only pile up."""

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(LIMIT + 60)]


@dataclass(frozen=True)
class Run:
    code: int
    said: dict[str, Any]
    errors: str
    databases: Databases
    folder: Path


def run_trips(folder: Path, broker: str, *options: str, database: str = "") -> Run:
    """`python -m workers.trips --json`, its files in `folder`."""
    saga = database or f"sqlite:///{folder}/saga.db"
    command = [sys.executable, "-m", "workers.trips", "--json", "--trips", str(TRIPS), "--kills", str(KILLS)]
    command += ["--seed", str(SEED), "--folder", str(folder), "--broker", broker, "--database", saga]
    command += ["--time-limit", str(LIMIT), "--queue-grace", str(QUEUE_GRACE), *options]
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT + 50)
    assert done.stdout, done.stderr
    databases = Databases(saga=saga, service=f"sqlite:///{folder}/{{service}}.db")
    return Run(done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr, databases, folder)


def must_fail(trip: Wanted) -> bool:
    return trip.credit_cents < trip.total_cents or not trip.visa


def check(run: Run, trips: Sequence[Wanted]) -> None:
    assert (run.code, run.said["differences"]) == (0, []), run.errors
    assert (
        sum(run.said["states"].values()) == TRIPS == run.said["states"]["COMPLETED"] + run.said["states"]["COMPENSATED"]
    )
    assert run.errors.count("SIGKILL to ") >= KILLS
    books = read_books(run.databases, trips)
    ended = {trip: books.sagas[key][0].state for key, trip in books.trips.items()}
    unhindered = [trip for trip in trips if trip.city not in SCARCE]
    assert {ended[trip] for trip in trips if must_fail(trip)} == {"COMPENSATED"}
    assert {ended[trip] for trip in unhindered if not must_fail(trip)} == {"COMPLETED"}

    given_back = Counter(charge.trip_id for charge in books.charges if charge.refunded)
    only_fee_refused = [trip for trip in unhindered if trip.cents <= trip.credit_cents < trip.total_cents]
    only_visa_refused = [trip for trip in unhindered if trip.credit_cents == trip.total_cents and not trip.visa]
    assert {given_back[trip.id] for trip in only_fee_refused} == {1}  # the child turned round by itself
    assert {given_back[trip.id] for trip in only_visa_refused} == {2}  # the completed child was undone as a whole
    assert sum(count for refused, count in run.said["refusals"].items() if refused.endswith("SoldOut")) > 0


SABOTAGES = {
    "booked again": ("travel", "UPDATE booking SET cancelled = 0 WHERE cancelled", "compensated trips hold nothing"),
    "room gone": (
        "travel",
        "UPDATE rooms SET available = available - 1 WHERE city = 'Paris'",
        "rooms, seats and cars balance",
    ),
    "papers lost": (
        "travel",
        "DELETE FROM ticket WHERE id = 1",
        "completed trips: bookings, cents, papers, confirmation",
    ),
    "fee kept": ("payments", "UPDATE charge SET refunded = 0 WHERE refunded", "compensated trips hold nothing"),
    "ledger short": (
        "payments",
        "DELETE FROM ledger WHERE id = 1",
        "the ledger balances for every charge, to the cent",
    ),
    "credit lost": ("payments", "UPDATE credit SET used_cents = used_cents + 1", "credit in use is what is charged"),
    "told twice": (
        "notifications",
        "INSERT INTO confirmation (order_id, customer_id) SELECT order_id, customer_id FROM confirmation",
        "completed trips: bookings, cents, papers, confirmation",
    ),
    "saga lost": ("saga", "DELETE FROM saga WHERE \"key\" = 'trip-1'", "each trip has exactly one saga"),
    "still running": ("saga", "UPDATE saga SET state = 'RUNNING' WHERE \"key\" = 'trip-1'", "every saga has ended"),
    "child kept": (
        "saga",
        "UPDATE saga SET state = 'COMPLETED' WHERE state = 'COMPENSATED' AND name = 'travel.payment'",
        "payments end as their trips do",
    ),
}
"""Database, what is done to it, and the check that must find it."""


def test_on_sqlite_with_a_blackout_and_every_sabotage_is_found(own_redis: EmbeddedRedis, tmp_path: Path) -> None:
    """With a Redis that loses all its messages once, as all workers die."""
    run = run_trips(tmp_path, own_redis.url, "--blackout")
    trips = wanted(TRIPS, SEED)
    check(run, trips)
    assert "FLUSHALL" in run.errors

    for sabotage, (database, statement, expected) in SABOTAGES.items():
        found = spoiled(run.folder, tmp_path / sabotage, database, statement, trips)
        assert expected in found, f"{sabotage}: {found}"


def spoiled(books: Path, copy: Path, database: str, statement: str, trips: Sequence[Wanted]) -> list[str]:
    """The checks that find a difference once one statement has spoilt a copy of the books."""
    copy.mkdir()
    for file in books.glob("*.db*"):
        shutil.copy(file, copy)
    with closing(sqlite3.connect(copy / f"{database}.db")) as connection, connection:
        assert connection.execute(statement).rowcount > 0
    databases = Databases(saga=f"sqlite:///{copy}/saga.db", service=f"sqlite:///{copy}/{{service}}.db")
    return [each.name for each in reconcile(databases, trips).checks if each.differences]


def test_on_postgresql(postgres_url: str, own_redis: EmbeddedRedis, tmp_path: Path) -> None:
    check(run_trips(tmp_path, own_redis.url, database=postgres_url), wanted(TRIPS, SEED))
