"""One saga as web pages get it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from celery.canvas import Signature
from pydantic import BaseModel

from saga_celery import Child, Saga, SagaNotFound, step, wait_for
from saga_celery.contrib import console
from saga_celery.core import events as e


def shown(shop, saga_id):
    found = console.saga(shop.sagas, saga_id)
    json.dumps(found)
    return found


def moves(found):
    return [(each["verb"], each["step"]) for each in found["moves"]]


def test_a_step_in_both_directions(shop):
    found = shown(shop, shop.compensated(key="k", tags={"customer": 7}))
    assert (found["state"], found["key"], found["tags"]) == ("COMPENSATED", "k", {"customer": "7"})
    charge, tell = found["steps"]
    assert (charge["label"], charge["words"], charge["result"]) == ("charge", "undone", "c-1")
    assert (charge["action"]["used"], charge["action"]["allowed"]) == (1, 5)
    assert (charge["compensation"]["task"], charge["compensation"]["used"]) == ("card.refund", 1)
    assert tell["action"]["error"]["type"] == "shop.Broken"
    assert found["because"] == "tell failed: shop.Broken: no"
    assert [step["name"] for step in found["plan"]] == ["charge", "tell"]
    assert found["plan"][1]["after"] == ["charge"]
    assert found["moves"] == []


def test_the_history_says_who_and_why(shop):
    saga_id = shop.in_doubt()
    assert shop("skip", saga_id, "--result", '"L-1"', "--reason", "done by hand", "--actor", "ann").exit_code == 0
    history = shown(shop, saga_id)["history"]
    (acted,) = [entry for entry in history if entry["actor"] == "ann"]
    assert acted["facts"][0]["text"] == "ann asked for skip: done by hand"


def test_dead_letters_with_their_next_moves(shop):
    found = shown(shop, shop.exhausted())
    (letter,) = found["dead_letters"]
    assert (letter["step"], letter["reason"], letter["moves"]) == ("label", "exhausted", ["retry", "skip"])
    assert moves(found) == [("retry", "label"), ("skip", "label")]
    assert found["troubles"][0]["moves"] == ["retry", "skip"]


def test_what_can_be_asked_follows_the_state(shop):
    saga_id = shop.start()
    assert moves(shown(shop, saga_id)) == [("suspend", ""), ("cancel", "")]
    shop("suspend", saga_id, "--reason", "x", "--actor", "ann")
    assert moves(shown(shop, saga_id)) == [("resume", ""), ("cancel", "")]
    assert ("retry", "tell") not in moves(shown(shop, saga_id))


def test_what_is_secret_stays_so(shop):
    class Card(BaseModel):
        card_number: str

    class CardSaga(Saga[Card, None]):
        name = "shop.card"

        @step(no_compensation="nothing")
        def ask(self, card: Card) -> Signature[Any]:
            return self.task("card.ask", card.card_number)

    saga_id = CardSaga.start(Card(card_number="4111-1111")).id
    shop.news(saga_id, e.Nudged())
    shop.succeed(saga_id, "ask", {"pin": "7423", "ok": True})
    text = json.dumps(shown(shop, saga_id))
    assert "4111-1111" not in text
    assert "7423" not in text
    assert shown(shop, saga_id)["steps"][0]["result"]["ok"] is True


def test_waits_say_what_for_and_parents_and_children_name_each_other(shop):
    class InnerSaga(Saga[int, None]):
        name = "town.inner"

        @wait_for(bool, timeout=timedelta(days=1))
        def approve(self, number: int) -> None: ...

    class OuterSaga(Saga[int, None]):
        name = "town.outer"

        @step
        def inner(self, number: int) -> Child[None]:
            return InnerSaga.si(number)

    outer = OuterSaga.start(1).id
    shop.news(outer, e.Nudged())
    (child,) = shown(shop, outer)["children"]
    assert (child["name"], child["step"]) == ("town.inner", "inner")
    shop.news(child["id"], e.Nudged())
    inner = shown(shop, child["id"])
    assert inner["parent"]["id"] == outer
    (wait,) = inner["steps"]
    assert wait["waits_for"]["event"] == "bool"
    assert wait["waits_for"]["until"].startswith("2030-01-02T12:00")
    assert moves(inner)[0] == ("send", "approve")


def test_long_sagas_are_cut(shop, monkeypatch):
    monkeypatch.setattr("saga_celery.contrib.console.one_saga.MOST_STEPS", 1)
    monkeypatch.setattr("saga_celery.contrib.console.one_saga.MOST_HISTORY", 2)
    found = shown(shop, shop.completed())
    assert (len(found["steps"]), found["steps_left_out"]) == (1, 1)
    assert len(found["history"]) == 2
    assert found["history"][-1]["version"] == found["version"]
    assert found["history_left_out"] == found["version"] - 2 + (found["history"][0]["version"] == 0)


def test_none_is_told(shop):
    with pytest.raises(SagaNotFound):
        shown(shop, "nothing")
