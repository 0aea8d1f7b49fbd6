"""The operator's commands about a saga that has no class."""

from __future__ import annotations

import pytest

from saga_celery import saga_chain
from saga_celery.core import events as e
from saga_celery.core.states import Slot
from tests.definition.chain_shop import charge, notify, refund, release, reserve


@pytest.fixture
def chain(shop):
    return saga_chain("checkout", (reserve.s(7), release.s()), (charge.s(), refund.s()), notify.si())


@pytest.fixture
def parked(shop, chain):
    """A chain whose last step is in doubt."""
    saga_id = chain.start(key="order-7").id
    shop.news(saga_id, e.Nudged())
    shop.succeed(saga_id, "reserve", "r-7")
    shop.succeed(saga_id, "charge", "c-7")
    shop.news(saga_id, e.AttemptLost(slot=Slot("notify"), attempt=1, reason="worker w1 died"))
    return saga_id


def test_it_is_listed_shown_and_counted_like_others(shop, parked):
    assert [row["id"] for row in shop.json("list", "--name", "checkout")] == [parked]
    shown = shop("show", "order-7").stdout
    for text in ("checkout", "FAILED", "reserve", "charge", "notify", "shop.tasks.reserve", "worker w1 died"):
        assert text in shown
    assert [letter["step"] for letter in shop.json("dead-letters")] == ["notify"]


def test_it_is_operated_like_others(shop, parked):
    assert shop("resolve", "order-7", "--as", "never", "--reason", "asked the mail").exit_code == 0
    shop.news(parked, e.Nudged())
    state = shop.sagas.store.load(parked)
    assert state.status == "COMPENSATING"
    assert state.steps[("charge", 0)].compensation.message.args == ("c-7",)


def test_the_latest_of_its_name_is_drawn(shop, chain, parked):
    drawing = shop("graph", "checkout")
    assert drawing.exit_code == 0
    assert "    s_reserve --> s_charge\n" in drawing.stdout
    assert '    s_charge -. undo .-> c_charge("shop.tasks.refund")\n' in drawing.stdout

    shop.clock.turn(1)
    odd = release.si("x").clone()
    odd["task"] = 'say "hi"'
    saga_chain("checkout", (reserve.s(8), odd)).start()
    assert "notify" not in shop("graph", "checkout").stdout
    assert 'c_reserve("say #quot;hi#quot;")' in shop("graph", "checkout").stdout


def test_only_what_is_stored_can_be_drawn(shop, chain):
    assert shop("graph", "checkout").exit_code == 3
    assert "no saga named 'checkout'" in shop("graph", "checkout").stderr


def test_the_doctor_copes_with_an_app_that_has_chains_only(shop, parked, monkeypatch):
    monkeypatch.setattr("saga_celery.definition.registry._sagas", {})
    told = shop("doctor").stdout
    assert "this app defines no saga class" in told
