"""The list of sagas as web pages get it."""

from __future__ import annotations

import json

import pytest

from saga_celery import InputRejected, SagaNotFound
from saga_celery.contrib import console
from saga_celery.store.queries import STUCK_AFTER


def listed(shop, **parameters):
    found = console.sagas(shop.sagas, parameters)
    json.dumps(found)
    return found


def ids(records):
    return [each["id"] for each in records]


def test_the_newest_stand_first_and_pages_follow_each_other(shop):
    started = [shop.start(key=f"k{number}") for number in range(5)]
    first = listed(shop, limit="2")
    second = listed(shop, limit="2", after=first["next"])
    third = listed(shop, limit="2", after=second["next"])
    assert [*ids(first["sagas"]), *ids(second["sagas"]), *ids(third["sagas"])] == started[::-1]
    assert third["next"] is None


def test_filters(shop):
    done = shop.completed(key="done", tags={"customer": 7})
    other = shop.start("shop.parcel", key="parcel")
    assert ids(listed(shop, name="shop.parcel")["sagas"]) == [other]
    assert ids(listed(shop, state="completed")["sagas"]) == [done]
    assert ids(listed(shop, tag="customer=7")["sagas"]) == [done]
    assert ids(listed(shop, search="parcel")["sagas"]) == [other]
    assert ids(listed(shop, search=done)["sagas"]) == [done]
    assert listed(shop, search="nothing")["sagas"] == []
    assert ids(listed(shop, name="", state="")["sagas"]) == [other, done]


def test_a_suspended_one_says_by_whom(shop):
    saga_id = shop.start()
    assert shop("suspend", saga_id, "--reason", "is it right?", "--actor", "ann").exit_code == 0
    (found,) = listed(shop, suspended="1")["sagas"]
    assert found["id"] == saga_id
    assert (found["suspension"]["actor"], found["suspension"]["reason"]) == ("ann", "is it right?")


def test_what_is_stuck_stands_above_with_why_and_what_can_be_done(shop):
    doubtful, broken = shop.in_doubt(), shop.exhausted()
    shop.completed()
    found = listed(shop)
    assert ids(found["stuck"]) == [broken, doubtful]
    assert found["stuck"][0]["troubles"] == [
        {
            "text": "label: failed for good behind the pivot (shop.Broken: no)",
            "step": "label",
            "moves": ["retry", "skip"],
        }
    ]
    (trouble,) = found["stuck"][1]["troubles"]
    assert trouble["text"].startswith("tell: nobody knows whether it took effect")
    assert trouble["moves"] == ["resolve", "retry", "skip"]
    assert ids(listed(shop, stuck="1")["stuck"]) == [broken, doubtful]
    assert listed(shop, name="shop.parcel")["stuck"] == found["stuck"][:1]


def test_one_that_nobody_moves_says_so(shop):
    shop.start()
    shop.clock.turn(STUCK_AFTER + 20)
    (found,) = listed(shop)["stuck"]
    (trouble,) = found["troubles"]
    assert "no sweeper seems to run" in trouble["text"]
    assert trouble["moves"] == []


def test_pauses_are_told_of(shop):
    shop.sagas.pause(task="card.*", reason="gateway down", actor="ann")
    (found,) = listed(shop)["pauses"]
    assert (found["kind"], found["name"], found["actor"], found["reason"]) == ("task", "card.*", "ann", "gateway down")


def test_counts(shop):
    shop.completed()
    shop.start()
    found = console.counts(shop.sagas)["counts"]
    assert sorted((each["name"], each["state"], each["count"]) for each in found) == [
        ("shop.order", "COMPLETED", 1),
        ("shop.order", "PENDING", 1),
    ]


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"colour": "red"}, "no parameter 'colour'; known are: name, state"),
        ({"state": "COMPLETD"}, "did you mean COMPLETED"),
        ({"state": "x"}, "known are: PENDING"),
        ({"tag": "customer"}, "write name=value"),
        ({"limit": "0"}, "from 1 to 200"),
        ({"limit": "ten"}, "from 1 to 200"),
        ({"stuck": "yes"}, "write 1 or 0"),
    ],
)
def test_what_can_not_be_asked_is_told(shop, parameters, sentence):
    with pytest.raises(InputRejected, match=sentence):
        listed(shop, **parameters)


def test_a_page_behind_a_saga_that_is_gone_is_refused(shop):
    with pytest.raises(SagaNotFound):
        listed(shop, after="gone")
