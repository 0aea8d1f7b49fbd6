"""A worker's child process dies within the body of a step, and another one is forked in its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.acceptance.counter import Shop

pytestmark = pytest.mark.acceptance

SETTLED: dict[str, tuple[list[str], str, list[str]]] = {
    "done": (["resolve", "--as", "done", "--result", '"by hand"'], "COMPLETED", ["last"]),
    "never": (["resolve", "--as", "never"], "COMPENSATED", ["undo first"]),
    "retry": (["retry"], "COMPLETED", ["second", "last"]),
    "skip": (["skip", "--result", '"by hand"'], "COMPLETED", ["last"]),
}
"""What an operator presses, where the saga ends then, and what is done on the way."""
ERRANDS: dict[str, dict[str, Any]] = {
    "keyed": {"task": "shop.killed_once"},
    "killer": {"task": "shop.killed"},
    "endless": {"task": "shop.endless", "keyed": False, "seconds": 1},
    **{f"unkeyed {verb}": {"task": "shop.killed_once", "keyed": False} for verb in SETTLED},
}


@pytest.fixture(scope="module")
def errands(open_shop: Shop) -> dict[str, str]:
    """All of them are under way at once; their ids."""
    ids = open_shop.start(*({"name": name, **errand} for name, errand in ERRANDS.items()))
    return dict(zip(ERRANDS, ids, strict=True))


@pytest.mark.peer_bug("C12")
def test_a_child_that_takes_the_place_of_another_one_can_use_the_database(shop: Shop) -> None:
    """It is forked while other threads of the worker's main process are in the midst of a transaction."""
    shop.worker("--concurrency", "2", "--max-tasks-per-child", "1", SHOP_SWEEP_INTERVAL="0.001")
    saga_ids = shop.start(*({"name": f"fork-{number}"} for number in range(6)))
    for saga_id in saga_ids:
        assert shop.end_of(saga_id) == "COMPLETED"


@pytest.mark.peer_bug("C12")
def test_a_keyed_step_is_sent_again_under_its_key(open_shop: Shop, errands: dict[str, str]) -> None:
    assert open_shop.end_of(errands["keyed"]) == "COMPLETED"
    assert open_shop.effects("keyed") == ["first", "second", "second", "last"]
    assert len(open_shop.keys("keyed:second")) == 1


@pytest.mark.peer_bug("P7")
def test_a_step_that_kills_every_child_ends_with_its_attempts(open_shop: Shop, errands: dict[str, str]) -> None:
    assert open_shop.end_of(errands["killer"]) == "FAILED"
    # It ran on after the first step, where nobody saw it begin: that run counts as a delivery that was lost.
    assert open_shop.effects("killer") == ["first", "second", *["second"] * 3]
    assert [found[:2] for found in open_shop.letters(errands["killer"])] == [("second", "in_doubt")]


def test_the_hard_time_limit_leaves_the_outcome_unknown(open_shop: Shop, errands: dict[str, str]) -> None:
    assert open_shop.end_of(errands["endless"]) == "FAILED"
    ((step, reason, detail),) = open_shop.letters(errands["endless"])
    assert (step, reason) == ("second", "in_doubt")
    assert "TimeLimitExceeded" in detail


def test_a_dead_letter_names_the_next_moves(open_shop: Shop, errands: dict[str, str]) -> None:
    saga_id = errands["killer"]
    assert open_shop.end_of(saga_id) == "FAILED"
    listed = map(json.loads, open_shop.saga("dead-letters", "--json").stdout.splitlines())
    (letter,) = [found for found in listed if saga_id in found.values()]
    assert (letter["step"], letter["reason"]) == ("second", "in_doubt")
    assert "WorkerLostError" in letter["detail"]
    assert all(verb in json.dumps(letter) for verb in ("resolve", "retry", "skip"))


@pytest.mark.peer_bug("C4", "P13")
@pytest.mark.parametrize("settled", SETTLED)
def test_an_unkeyed_step_waits_for_a_person(open_shop: Shop, errands: dict[str, str], settled: str) -> None:
    name = f"unkeyed {settled}"
    saga_id = errands[name]
    assert open_shop.end_of(saga_id) == "FAILED"
    assert open_shop.effects(name) == ["first", "second"]

    (verb, *options), end, further = SETTLED[settled]
    done = open_shop.saga(verb, name, *options, "--reason", "looked it up", "--actor", "ann")
    assert done.returncode == 0, done.stderr
    open_shop.await_that(lambda: open_shop.state(saga_id) == end, f"{name} is {end}")
    assert open_shop.effects(name) == ["first", "second", *further]
    assert open_shop.letters(saga_id) == []
    actors = "SELECT DISTINCT actor FROM saga_history WHERE saga_id = :id AND actor IS NOT NULL"
    assert open_shop.query(actors, id=saga_id) == [("ann",)]
