"""Twenty lines of an order are reserved side by side, by workers whose children die at it.

The depot's own books are asked, not the sagas.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.counter import Shop

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

AT_ONCE = 4
CHILDREN = 6
"""More than may be under way at once."""
SKUS = [f"sku-{number:02}" for number in range(1, 21)]
PATIENCE = 120.0


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def depot(request: pytest.FixtureRequest, tmp_path: Path, redis_databases: Iterator[str]) -> Iterator[Shop]:
    database = request.getfixturevalue(request.param)
    with Shop(tmp_path, broker=next(redis_databases), database=database, app="depot") as shop:
        shop.worker("--concurrency", str(CHILDREN))
        yield shop


def books(depot: Shop, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(depot.folder / "depot.db")) as found:
        return found.execute(statement).fetchall()


def crowd(depot: Shop, what: str) -> int:
    """How many were at it at once, at most."""
    ((most,),) = books(depot, f"SELECT max(size) FROM crowd WHERE what = '{what}'")
    return int(most)


def order(depot: Shop, **more: object) -> str:
    (saga_id,) = depot.start({"name": "order-1", "skus": SKUS, **more}, saga="DepotSaga")
    return saga_id


def deaths(depot: Shop) -> int:
    return len(list(depot.folder.glob("died-*")))


def shown(depot: Shop, saga_id: str) -> dict[tuple[str, int], dict[str, Any]]:
    """The steps as `saga show` tells of them."""
    done = depot.saga("show", saga_id, "--json")
    assert done.returncode == 0, done.stderr
    return {(step["step"], step["item"]): step for step in json.loads(done.stdout)["steps"]}


def test_all_lines_are_reserved_four_at_once(depot: Shop) -> None:
    saga_id = order(depot, deadly=[SKUS[6], SKUS[17]])

    assert depot.end_of(saga_id, PATIENCE) == "COMPLETED"
    assert crowd(depot, "reserve") == AT_ONCE
    assert deaths(depot) == 2
    assert sorted(books(depot, "SELECT sku FROM reservation")) == [(sku,) for sku in SKUS]
    assert books(depot, "SELECT * FROM released") == []
    ((result,),) = depot.query("SELECT result FROM saga WHERE id = :id", id=saga_id)
    assert json.loads(result).split() == [f"r-{sku}" for sku in SKUS]
    assert shown(depot, saga_id)[("reserve", 0)]["items"] == len(SKUS)


def test_when_one_is_refused_all_that_took_effect_is_released_once(depot: Shop) -> None:
    refused = SKUS[12]
    saga_id = order(depot, refused=[refused], deadly=[SKUS[6]], deadly_to_release=[SKUS[2]])

    assert depot.end_of(saga_id, PATIENCE) == "COMPENSATED"
    assert crowd(depot, "reserve") == AT_ONCE
    assert crowd(depot, "release") <= AT_ONCE
    assert deaths(depot) == 2
    reserved = {sku for (sku,) in books(depot, "SELECT sku FROM reservation")}
    released = [reservation.removeprefix("r-") for (reservation,) in books(depot, "SELECT reservation FROM released")]
    assert refused not in reserved
    assert sorted(released) == sorted(reserved)
    assert reserved >= set(SKUS[:12]), "what had begun before is awaited, however its worker fares"
    steps = shown(depot, saga_id)
    assert steps[("reserve", 0)]["status"] == "compensated"
    assert steps[("reserve", 13)]["status"] == "failed"
    assert steps[("reserve", 20)]["status"] == "cancelled"
