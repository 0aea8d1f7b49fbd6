"""Locks and times with real workers, one of which dies within its work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.acceptance.counter import Shop

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

SAGAS, LOCKS = 12, 3


@pytest.fixture
def locked_shop(tmp_path: Path, redis_databases: Iterator[str], database_url: str) -> Iterator[Shop]:
    with Shop(tmp_path, broker=next(redis_databases), database=database_url) as shop:
        yield shop


def start(shop: Shop, *calls: str, errand: str = "") -> list[str]:
    """Start errands with further arguments of `start`; their ids."""
    lines = [f"print(S.start(Errand(name='e{number}' {errand}), {call}).id)" for number, call in enumerate(calls)]
    imports = "from datetime import timedelta; from tests.acceptance.shop import Errand, ErrandSaga as S"
    return shop.python("\n".join([imports, *lines])).split()


def spans(shop: Shop, tag: str) -> list[tuple[str, str]]:
    """When the sagas with a tag began and ended, by the database's clock, in order."""
    begun = "SELECT h.at FROM saga_history h WHERE h.saga_id = saga.id AND h.version = 1"
    tagged = "SELECT saga_id FROM saga_tag WHERE value = :tag"
    rows = shop.query(f"SELECT ({begun}), ended_at FROM saga WHERE id IN ({tagged})", tag=tag)
    return sorted((str(begun), str(ended)) for begun, ended in rows)


def test_sagas_of_one_lock_never_overlap_whatever_dies(locked_shop: Shop) -> None:
    shop = locked_shop
    doomed, _ = shop.worker("--concurrency", "2"), shop.worker("--concurrency", "2")
    locks = [f"l{number % LOCKS}" for number in range(SAGAS)]
    ids = start(shop, *(f"lock='{lock}', tags={{'lock': '{lock}'}}" for lock in locks))
    ended = "SELECT count(*) FROM saga WHERE state = 'COMPLETED'"
    shop.await_that(lambda: shop.query(ended)[0][0] >= 2, "the first ends", seconds=200)
    doomed.kill()
    for saga_id in ids:
        assert shop.end_of(saga_id, seconds=300) == "COMPLETED"
    for lock in set(locks):
        found = spans(shop, lock)
        assert len(found) == SAGAS // LOCKS
        assert all(end <= begin for (_, end), (begin, _) in pairwise(found)), found


def test_a_lock_stays_with_a_saga_that_waits_for_a_person(shop: Shop) -> None:
    shop.worker("--concurrency", "2")
    (first,) = start(shop, "lock='order-7'", errand=", task='shop.killed', keyed=False")
    (second,) = start(shop, "lock='order-7', key='second'")
    assert shop.end_of(first, seconds=200) == "FAILED"
    assert f"queued behind {first}, which waits for a person" in shop.saga("show", second).stdout
    (lock,) = map(json.loads, shop.saga("locks", "--json").stdout.splitlines())
    assert (lock["lock"], [each["id"] for each in lock["holders"]], lock["waiters"]) == ("order-7", [first], [second])
    done = shop.saga("resolve", first, "--as", "never", "--reason", "looked it up")
    assert done.returncode == 0, done.stderr
    assert shop.end_of(second, seconds=200) == "COMPLETED"


def test_a_saga_for_later_begins_later(locked_shop: Shop) -> None:
    shop = locked_shop
    shop.worker("--concurrency", "2")
    (saga_id,) = start(shop, "delay=timedelta(seconds=3)")
    assert shop.end_of(saga_id, seconds=200) == "COMPLETED"
    begun = "SELECT h.at FROM saga_history h WHERE h.saga_id = saga.id AND h.version = 1"
    ((due, begins),) = shop.query(f"SELECT starts_at, ({begun}) FROM saga")
    assert str(begins) >= str(due)
