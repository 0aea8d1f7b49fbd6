"""A pause keeps everything back, through the death of every worker; afterwards all goes on as if nothing had been."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.counter import Shop

pytestmark = pytest.mark.acceptance

WHY = ("--reason", "the till is being painted", "--actor", "ann")
ERRANDS = ["one", "two", "three"]


def held(shop: Shop) -> list[tuple[Any, ...]]:
    """What is kept back: attempt, resends, and when it is looked at next."""
    return shop.query("SELECT attempt, resends, due_at FROM saga_awaited WHERE awaited = 'held' ORDER BY saga_id")


@pytest.mark.parametrize("what", [("--task", "shop.*"), ("--name", "shop.errand")], ids=["task", "name"])
def test_a_pause_from_end_to_end(shop: Shop, what: tuple[str, str]) -> None:
    first = shop.worker("--concurrency", "2")
    assert shop.saga("pause", *what, *WHY).returncode == 0
    ids = shop.start(*({"name": name} for name in ERRANDS))
    shop.await_that(lambda: len(held(shop)) == 3, "three held messages")

    first.kill()
    shop.worker("--concurrency", "2")
    before = held(shop)
    shop.await_that(
        lambda: all(late[2] > early[2] for early, late in zip(before, held(shop), strict=True)),
        "a sweep that leaves them held, longer than the queue grace",
    )
    assert [row[:2] for row in held(shop)] == [(1, 0)] * 3
    assert [shop.effects(name) for name in ERRANDS] == [[], [], []]
    assert "paused: " in shop.saga("show", "one").stdout
    assert "NOTE paused: " in shop.saga("doctor").stdout

    assert shop.saga("unpause", *what, *WHY).returncode == 0
    assert [shop.end_of(saga_id) for saga_id in ids] == ["COMPLETED"] * 3
    assert [shop.effects(name) for name in ERRANDS] == [["first", "second", "last"]] * 3
    assert not held(shop)


def test_a_paused_task_holds_only_its_own_steps(shop: Shop) -> None:
    shop.worker("--concurrency", "2")
    assert shop.saga("pause", "--task", "shop.strange", *WHY).returncode == 0
    held_up, passing = shop.start({"name": "held up", "task": "shop.strange"}, {"name": "passing"})
    assert shop.end_of(passing) == "COMPLETED"
    shop.await_that(lambda: len(held(shop)) == 1, "the one held message")
    assert shop.effects("held up") == ["first"]
    assert shop.state(held_up) == "RUNNING"
