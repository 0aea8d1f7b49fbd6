"""Every kind of worker: other pools, other queues, other codebases, other releases."""

from __future__ import annotations

import pytest

from tests.acceptance.counter import Shop

pytestmark = pytest.mark.acceptance


@pytest.mark.peer_bug("C13")
@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_pool_smaller_than_the_saga_runs_it_to_its_end(shop: Shop, pool: str) -> None:
    """Nobody waits inside a worker for a branch that needs a seat of its own."""
    shop.worker("--pool", pool, "--concurrency", "2")
    parties = shop.start(*({"name": each} for each in "ab"), saga="PartySaga")
    errands = shop.start({"name": "good"}, {"name": "bad", "task": "shop.nobody_knows"})
    assert [shop.end_of(saga_id) for saga_id in parties] == ["COMPLETED"] * 2
    assert [shop.end_of(saga_id) for saga_id in errands] == ["COMPLETED", "COMPENSATED"]
    assert shop.effects("bad") == ["first", "undo first"]


def test_a_second_codebase_and_a_worker_of_another_queue(shop: Shop) -> None:
    """The foreign worker has no saga code; the one with the database was told to consume another queue only."""
    shop.worker("--pool", "solo", "-Q", "shop", wait=False)
    shop.worker("--pool", "solo", app="elsewhere")
    good, bad = shop.start(
        {"name": "good", "task": "elsewhere.do", "queue": "elsewhere"},
        {"name": "bad", "task": "elsewhere.do", "queue": "elsewhere", "fails_at_last": True},
    )
    assert shop.end_of(good) == "COMPLETED"
    assert shop.end_of(bad) == "COMPENSATED"
    assert shop.query("SELECT result FROM saga WHERE id = :id", id=good) == [
        ('"good:second done elsewhere, good:last done"',)
    ]
    assert shop.effects("bad") == ["first", "last", "last", "undo second", "undo first"]


def test_a_worker_without_any_step_of_its_own_coordinates(shop: Shop) -> None:
    shop.worker("--pool", "solo", "-Q", "other")
    (saga_id,) = shop.start({"name": "errand"})
    shop.await_that(lambda: shop.state(saga_id) == "RUNNING", "that it is taken up")
    assert shop.query("SELECT step, status FROM saga_step") == [("first", "dispatched")]


@pytest.mark.peer_bug("P2", "P14", "F7")
def test_a_poisoned_saga_parks_and_is_retried_after_a_deploy(shop: Shop) -> None:
    first_release = shop.worker("--pool", "solo", SHOP_RELEASE="1")
    good, poisoned, other = shop.start({"name": "good"}, {"name": "bad", "poisoned": True}, {"name": "other"})
    assert shop.end_of(good) == shop.end_of(other) == "COMPLETED"
    assert shop.end_of(poisoned) == "FAILED"
    ((step, reason, detail),) = shop.letters(poisoned)
    assert (step, reason) == ("second", "render_failed")
    assert "release 1 can not cope with this errand" in detail

    first_release.stop()
    shop.worker("--pool", "solo", SHOP_RELEASE="2")
    assert shop.saga("retry", "bad", "--reason", "release 2").returncode == 0
    shop.await_that(lambda: shop.state(poisoned) == "COMPLETED", "its completion by the new release")
    assert shop.effects("bad") == ["first", "second", "last"]


def test_a_message_that_its_worker_can_not_decode_took_no_effect(shop: Shop) -> None:
    shop.worker("--pool", "solo", "-Q", "saga")
    shop.worker("--pool", "solo", "-Q", "shop", "-X", "saga", SHOP_ACCEPT="yaml", wait=False)
    (saga_id,) = shop.start({"name": "errand"})
    assert shop.end_of(saga_id) == "COMPENSATED"
    assert "MessageRejected" in shop.cause(saga_id)
    assert "Refusing to deserialize" in shop.cause(saga_id)
    assert shop.effects("errand") == []
