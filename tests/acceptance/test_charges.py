"""The worker dies after each charge and before it can tell: what is declared decides what becomes of the money.

The gateway's own books are asked, not the sagas. `SAGA_SOAK=200` (`make soak`) makes it 200 deaths a test.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.counter import ENDED, Shop
from workers.demo.process import Process

DEATHS = int(os.environ.get("SAGA_SOAK", "20"))
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300 + 10 * DEATHS)]


@dataclass
class Till:
    """A shop that takes payments, and the books of the gateway that they go through."""

    shop: Shop
    books: Path

    def pay(self, saga: str, names: list[str], **more: object) -> list[str]:
        """Start a saga for each order; their ids."""
        return self.shop.start(*({"name": name, **more} for name in names), saga=saga) if names else []

    def states(self, ids: list[str]) -> list[str]:
        """Wait until all have ended; how."""
        self.shop.await_that(lambda: self._ended() >= len(ids), "the end of all sagas", 200 + 10 * DEATHS)
        found = dict(self.shop.query("SELECT id, state FROM saga"))
        return [str(found[each]) for each in ids]

    def _ended(self) -> int:
        quoted = ", ".join(f"'{state}'" for state in ENDED)
        ((count,),) = self.shop.query(f"SELECT count(*) FROM saga WHERE state IN ({quoted})")
        return int(count)

    def charged(self, names: list[str]) -> Counter[tuple[int, int]]:
        """For each order: how often it was charged, and how often that was given back."""
        with sqlite3.connect(self.books) as books:
            rows = books.execute("SELECT orders, count(*), sum(refunds) FROM charge GROUP BY orders").fetchall()
        found = {order: (charges, refunds) for order, charges, refunds in rows}
        return Counter(found.get(name, (0, 0)) for name in names)

    def deaths(self) -> int:
        """How many processes really died on the way."""
        return len(list(self.shop.folder.glob("died-*")))


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def till(request: pytest.FixtureRequest, tmp_path: Path, redis_databases: Iterator[str]) -> Iterator[Till]:
    """A gateway, and a worker with two children that pay through it."""
    database = request.getfixturevalue(request.param)
    log = tmp_path / "gateway.log"
    gateway = Process(
        "gateway", [sys.executable, "-m", "tests.acceptance.gateway", str(tmp_path)], log=log, environment={}
    )
    try:
        gateway.await_log("listening on")
        port = log.read_text().split()[-1].rstrip(".")
        with Shop(tmp_path, broker=next(redis_databases), database=database, app="till") as shop:
            shop.environment["TILL_GATEWAY"] = port
            shop.worker("--concurrency", "2")
            yield Till(shop, tmp_path / "gateway.db")
    finally:
        gateway.stop()


def names_of(kind: str, count: int) -> list[str]:
    return [f"{kind}-{number}" for number in range(count)]


CHARGED, REFUNDED, NOTHING = (1, 0), (1, 1), (0, 0)


def test_with_a_probe_every_charge_is_adopted_or_given_back(till: Till) -> None:
    fifth = DEATHS // 5
    kept, turned, early = names_of("kept", DEATHS - 2 * fifth), names_of("turned", fifth), names_of("early", fifth)
    ids = till.pay("ProbedSaga", kept)
    ids += till.pay("ProbedSaga", turned, turns_round=True)
    ids += till.pay("ProbedSaga", early, dies="before")  # the probe finds nothing, and it is paid at the next attempt

    states = till.states(ids)
    assert Counter(states) == {"COMPLETED": len(kept) + len(early), "COMPENSATED": len(turned)}
    assert till.charged(kept + early) == {CHARGED: len(kept) + len(early)}
    assert till.charged(turned) == {REFUNDED: len(turned)}
    assert till.deaths() == DEATHS


def test_without_a_probe_each_charge_ends_as_declared(till: Till) -> None:
    third = DEATHS // 3
    keyed, blind, plain = names_of("keyed", DEATHS - 2 * third), names_of("blind", third), names_of("plain", third)
    ids = till.pay("KeyedSaga", keyed) + till.pay("BlindSaga", blind) + till.pay("PlainSaga", plain)

    states = till.states(ids)
    assert Counter(states[: len(keyed)]) == {"COMPLETED": len(keyed)}
    assert Counter(states[len(keyed) : -len(plain)]) == {"COMPENSATED": len(blind)}
    assert Counter(states[-len(plain) :]) == {"FAILED": len(plain)}
    assert till.charged(keyed + plain) == {CHARGED: len(keyed) + len(plain)}
    assert till.charged(blind) == {REFUNDED: len(blind)}
    letters = till.shop.query("SELECT reason, count(*) FROM saga_dead_letter GROUP BY reason")
    assert letters == [("in_doubt", len(plain))]
    assert till.deaths() == DEATHS
