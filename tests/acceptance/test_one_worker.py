"""Whatever becomes of a step in a real worker, it ends as the page of guarantees says, and never in silence."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.counter import Shop

pytestmark = pytest.mark.acceptance

ERRANDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "unknown": {"task": "shop.nobody_knows"},
    "undo": {"task": "shop.nobody_knows", "undo_task": "shop.nobody_undoes"},
    "arguments": {"arguments": 5},
    "replaced": {"task": "shop.replaced"},
    "strange": {"task": "shop.strange"},
    "again": {"task": "shop.again"},
    "again unkeyed": {"task": "shop.again", "keyed": False},
    "till": {"undo_task": "shop.broken", "fails_at_last": True},
    "orders": {"task": "shop.orders_more"},
    "bystander": {},
}


@pytest.fixture(scope="module")
def errands(open_shop: Shop) -> dict[str, str]:
    """All of them are under way at once; their ids."""
    ids = open_shop.start(*({"name": name, **errand} for name, errand in ERRANDS.items()))
    return dict(zip(ERRANDS, ids, strict=True))


@pytest.mark.peer_bug("C14")
def test_a_plain_errand(open_shop: Shop, errands: dict[str, str]) -> None:
    assert open_shop.end_of(errands["plain"]) == "COMPLETED"
    assert open_shop.effects("plain") == ["first", "second", "last"]


def test_a_task_that_no_worker_knows_took_no_effect(open_shop: Shop, errands: dict[str, str]) -> None:
    assert open_shop.end_of(errands["unknown"]) == "COMPENSATED"
    assert open_shop.effects("unknown") == ["first", "undo first"]
    assert "no task 'shop.nobody_knows' is registered" in open_shop.saga("show", "unknown").stdout


@pytest.mark.peer_bug("C3")
def test_an_undo_that_no_worker_knows_waits_for_a_person(open_shop: Shop, errands: dict[str, str]) -> None:
    assert open_shop.end_of(errands["undo"]) == "FAILED"
    ((step, reason, detail),) = open_shop.letters(errands["undo"])
    assert (step, reason) == ("first", "compensation_exhausted")
    assert "shop.nobody_undoes" in detail


def test_wrong_arguments_took_no_effect(open_shop: Shop, errands: dict[str, str]) -> None:
    assert open_shop.end_of(errands["arguments"]) == "COMPENSATED"
    assert open_shop.effects("arguments") == ["first", "undo first"]
    assert "TypeError" in open_shop.cause(errands["arguments"])


def test_replace_is_refused_with_a_word_on_what_to_do(open_shop: Shop, errands: dict[str, str]) -> None:
    assert open_shop.end_of(errands["replaced"]) == "FAILED"
    ((step, reason, detail),) = open_shop.letters(errands["replaced"])
    assert (step, reason) == ("second", "in_doubt")
    assert "replace()" in detail


@pytest.mark.peer_bug("C6")
def test_a_result_that_is_no_json_is_an_effect_without_result(open_shop: Shop, errands: dict[str, str]) -> None:
    assert open_shop.end_of(errands["strange"]) == "FAILED"
    ((step, reason, detail),) = open_shop.letters(errands["strange"])
    assert (step, reason) == ("second", "in_doubt")
    assert "is no JSON" in detail
    assert open_shop.effects("strange") == ["first", "second"]


def test_a_task_may_start_a_saga(open_shop: Shop, errands: dict[str, str]) -> None:
    assert open_shop.end_of(errands["orders"]) == "COMPLETED"
    (further,) = open_shop.query("SELECT id FROM saga WHERE key LIKE :key", key=f"{errands['orders']}:second%")
    assert open_shop.end_of(further[0]) == "COMPLETED"
    assert open_shop.effects("orders:second further") == ["first", "second", "last"]


@pytest.mark.parametrize("name", ["again", "again unkeyed"])
def test_the_tasks_own_retry_is_no_new_attempt(open_shop: Shop, errands: dict[str, str], name: str) -> None:
    assert open_shop.end_of(errands[name]) == "COMPLETED"
    assert open_shop.effects(name) == ["first", "second", "second", "second", "last"]


@pytest.mark.peer_bug("C2", "P13")
def test_an_exhausted_undo_waits_for_a_person_and_harms_nobody(open_shop: Shop, errands: dict[str, str]) -> None:
    saga_id = errands["till"]
    assert open_shop.end_of(saga_id) == "FAILED"
    assert open_shop.end_of(errands["bystander"]) == "COMPLETED"
    ((step, reason, detail),) = open_shop.letters(saga_id)
    assert (step, reason) == ("first", "compensation_exhausted")
    assert "the till is broken" in detail
    forward, backward = ["first", "second", "last", "last"], ["undo second", "undo first", "undo first"]
    assert open_shop.effects("till") == [*forward, *backward]

    (open_shop.folder / "mended").touch()
    assert open_shop.saga("retry", "till", "--reason", "the till is mended").returncode == 0
    open_shop.await_that(lambda: open_shop.state(saga_id) == "COMPENSATED", "the undo after mending")
    assert open_shop.effects("till") == [*forward, *backward, "undo first"]
