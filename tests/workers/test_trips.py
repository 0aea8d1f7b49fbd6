"""The trip saga with the services as they are, and the trips that are made by the hundred."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from saga_celery import SagaStatus
from saga_celery.testing import InlineRun, run_inline
from workers.notifications import outbox
from workers.payments import ledger
from workers.reconcile.databases import Databases
from workers.service.database import open_engine
from workers.travel import Trip, TripSaga
from workers.travel_desk import VisaDenied, desk
from workers.trips.storm import strikes
from workers.trips.wanted import KINDS, SCARCE, Wanted, capacity, wanted
from workers.trips.world import TAKE_PART, UsedBefore, fill

ANN = Wanted(id=1, traveller="T00001", city="Paris", cents=90_000, fee_cents=500, credit_cents=90_500, visa=True)


@pytest.fixture
def databases(tmp_path: Path) -> Databases:
    return Databases(saga="", service=f"sqlite:///{tmp_path}/{{service}}.db")


@pytest.fixture
def engines(databases: Databases) -> Iterator[Callable[[Wanted], dict[str, Engine]]]:
    """Open the services in a world that is made for one trip."""
    made: list[Engine] = []

    def make(trip: Wanted) -> dict[str, Engine]:
        fill(databases, [trip])
        found = {service: open_engine(databases.url(service)) for service in TAKE_PART}
        made.extend(found.values())
        return found

    yield make
    for engine in made:
        engine.dispose()


def go(engines: dict[str, Engine], wanted: Wanted) -> InlineRun[list[int]]:
    travel, payments = engines["travel"], engines["payments"]
    tasks: dict[str, Callable[..., Any]] = {
        **{f"travel.book_{kind}": partial(desk.book, travel, kind) for kind in KINDS},
        **{f"travel.cancel_{kind}": partial(desk.cancel, travel, kind) for kind in KINDS},
        "travel.issue_tickets": partial(desk.issue, travel),
        "payments.charge": partial(ledger.charge, payments),
        "payments.refund": partial(ledger.refund, payments),
        "notifications.confirm": partial(outbox.confirm, engines["notifications"]),
    }
    trip = Trip(
        id=wanted.id, traveller=wanted.traveller, city=wanted.city, cents=wanted.cents, fee_cents=wanted.fee_cents
    )
    return run_inline(TripSaga, trip, tasks=tasks)


def held(engines: dict[str, Engine]) -> tuple[list[str], int, int, int]:
    """Live bookings, credit in use, papers and confirmations."""
    with engines["travel"].connect() as connection:
        live = connection.execute(select(desk.booking.c.kind).where(desk.booking.c.cancelled.is_(False))).scalars()
        bookings = sorted(live)
        tickets = connection.execute(select(func.count()).select_from(desk.ticket)).scalar_one()
    with engines["payments"].connect() as connection:
        used = connection.execute(select(func.sum(ledger.credit.c.used_cents))).scalar_one()
    with engines["notifications"].connect() as connection:
        told = connection.execute(select(func.count()).select_from(outbox.confirmation)).scalar_one()
    return bookings, int(used), tickets, told


def test_a_trip_that_nobody_refuses(engines):
    world = engines(ANN)
    run = go(world, ANN)
    assert run.state is SagaStatus.COMPLETED
    assert len(run.result) == 3
    assert held(world) == (sorted(KINDS), ANN.total_cents, 1, 1)


@pytest.mark.parametrize(
    ("change", "refunds"),
    [
        ({"credit_cents": 89_999}, 0),
        ({"credit_cents": 90_499}, 1),
        ({"visa": False}, 2),
    ],
    ids=["the price", "the fee", "the papers"],
)
def test_a_trip_that_is_refused_holds_nothing(engines, change, refunds):
    trip = Wanted(**{name: getattr(ANN, name) for name in Wanted.__slots__} | change)
    world = engines(trip)
    run = go(world, trip)
    assert run.state is SagaStatus.COMPENSATED
    assert held(world) == ([], 0, 0, 0)
    assert [task for _, task in run.calls].count("payments.refund") == refunds


@pytest.mark.parametrize("kind", KINDS)
def test_a_trip_that_finds_one_of_the_three_sold_out_pays_nothing(engines, kind):
    world = engines(ANN)
    desk.book(world["travel"], kind, traveller="early", city="Paris", key="early")
    run = go(world, ANN)
    assert run.state is SagaStatus.COMPENSATED
    assert held(world) == ([kind], 0, 0, 0)
    assert not any(task.startswith("payments.") for _, task in run.calls)


def test_papers_are_issued_once_and_refused_for_ever(engines):
    travel = engines(ANN)["travel"]
    issue = partial(desk.issue, travel, trip_id=1, booking_ids=[1, 2, 3])
    assert issue(traveller="ann", key="k") == issue(traveller="ann", key="k")
    with travel.begin() as connection:
        desk.deny_visa(connection, ["bob"])
    for _ in range(2):
        with pytest.raises(VisaDenied, match="bob has no visa"):
            issue(traveller="bob", key="b")


# ---------------------------------------------------------------------------------------------------- by the hundred


def test_the_same_seed_wants_the_same_trips():
    assert wanted(50, 1) == wanted(50, 1)[:50] == wanted(80, 1)[:50]
    assert wanted(50, 1) != wanted(50, 2)


def test_each_of_their_steps_is_refused_to_some():
    trips = wanted(500, 1)
    asked = Counter(trip.city for trip in trips)
    left = capacity(trips)
    assert {city: [kind for kind in KINDS if left[kind][city] < asked[city]] for city in asked} == {
        "Paris": [],
        **{city: [kind] for city, kind in SCARCE.items()},
    }
    assert sum(trip.credit_cents < trip.cents for trip in trips) > 20
    assert sum(trip.cents <= trip.credit_cents < trip.total_cents for trip in trips) > 20
    assert sum(not trip.visa for trip in trips) > 20
    assert sum(trip.visa and trip.credit_cents == trip.total_cents for trip in trips) > 250


def test_strikes_come_while_there_is_work_left():
    coming = strikes(25, 500, ["a", "b"], 1, blackout=True)
    assert [strike.after for strike in coming] == sorted(strike.after for strike in coming)
    assert max(strike.after for strike in coming) < 450
    assert Counter(strike.worker for strike in coming)[""] == 1
    assert len(coming) == 26


def test_a_world_is_made_once(databases):
    fill(databases, [ANN])
    with pytest.raises(UsedBefore, match="travel was used before"):
        fill(databases, [ANN])
