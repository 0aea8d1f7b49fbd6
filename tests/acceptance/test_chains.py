"""Chains with real workers that never saw them: started in a process of their own, on every database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.counter import Shop

pytestmark = pytest.mark.acceptance

START = """
from celery import chain, group
from saga_celery import Retry, compensation, saga_chain, saga_step
from tests.acceptance.shop import app, broken, do, killed_once

def named(name):
    return app.signature("shop.nobody_knows", args=(name,))

twice = (group(do.s(), do.s()), group(do.s(), do.s()))
good = saga_chain("chains.good", (do.s("good:a"), do.s()), twice, do.si("good:z"))
bad = saga_chain(
    "chains.bad",
    chain(do.s("bad:a"), group(do.si("bad:b"), do.si("bad:c")), do.si("bad:d"), named("bad:e")),
    compensations={"shop.do": do.s()},
)
killed = saga_chain("chains.killed", (do.s(), do.s()), saga_step(killed_once.si("killed:b"), do.s(), idempotent=True))
till = saga_chain(
    "chains.till", (do.s("till:a"), compensation(broken.si("till:undo a"), retry=Retry(attempts=1))), named("till:b")
)
print(good.start(key="good").id, bad.start(key="bad").id, killed.start("killed:a").id, till.start(key="till").id)
assert not good.start(key="good").created
"""
AFTERWARDS = """
from saga_celery import SagaChain
from tests.acceptance.shop import app
handle = SagaChain.find("chains.good", "good")
assert handle.wait(timeout=100) == "COMPLETED"
print(handle.result())
"""


@pytest.fixture
def any_shop(tmp_path: Path, redis_databases: Iterator[str], database_url: str) -> Iterator[Shop]:
    """A shop on each kind of database."""
    with Shop(tmp_path, broker=next(redis_databases), database=database_url) as shop:
        yield shop


def test_chains_end_as_they_should_on_workers_that_never_saw_them(any_shop: Shop) -> None:
    shop = any_shop
    shop.worker("--concurrency", "2")
    good, bad, killed, till = shop.python(START).split()

    assert shop.end_of(good) == "COMPLETED"
    first, *middle, last = shop.effects("good")
    assert (first, sorted(middle), last) == ("a", ["a done", "a done"], "z")
    assert shop.python(AFTERWARDS) == "good:z done\n"

    assert shop.end_of(bad) == "COMPENSATED"
    effects = shop.effects("bad")
    assert (effects[0], sorted(effects[1:3]), effects[3]) == ("a", ["b", "c"], "d")
    assert (effects[4], sorted(effects[5:7]), effects[7:]) == ("d done", ["b done", "c done"], ["a done"])
    assert "shop.nobody_knows" in shop.cause(bad)

    assert shop.end_of(killed) == "COMPLETED"
    assert shop.effects("killed") == ["a", "b", "b"]

    assert shop.end_of(till) == "FAILED"
    assert [(step, reason) for step, reason, _ in shop.letters(till)] == [("do", "compensation_exhausted")]
    assert "shop.broken" in shop.saga("graph", "chains.till").stdout
    (shop.folder / "mended").touch()
    assert shop.saga("retry", "till", "--reason", "the till is mended").returncode == 0
    shop.await_that(lambda: shop.state(till) == "COMPENSATED", "the undo after mending")
    shown = shop.saga("show", "till")
    assert "nobody_knows" in shown.stdout
    assert "COMPENSATED" in shown.stdout
