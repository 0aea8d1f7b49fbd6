"""The list of sagas as web pages get it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from saga_celery import InputRejected, SagaNotFound
from saga_celery.contrib import console
from saga_celery.contrib.console import listing
from saga_celery.store import queries, tallies
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


def test_counts_and_the_names_to_choose_from(shop, monkeypatch):
    shop.completed()
    shop.completed()
    shop.start("shop.parcel")
    pending = {"state": "PENDING", "count": 1, "more": False}
    completed = {"state": "COMPLETED", "count": 2, "more": False}
    names = ["shop.order", "shop.parcel"]
    assert console.counts(shop.sagas, {}) == {"counts": [pending, completed], "names": names}
    assert console.counts(shop.sagas, {"name": "shop.order"}) == {"counts": [completed], "names": names}
    monkeypatch.setattr(tallies, "MOST_ENDED", 1)
    assert console.counts(shop.sagas, {"name": ""})["counts"] == [pending, {**completed, "count": 1, "more": True}]
    with pytest.raises(InputRejected, match="no parameter 'state' of counts"):
        console.counts(shop.sagas, {"state": "FAILED"})


def test_each_has_its_tags_and_why_it_is_stuck(shop):
    tagged, broken = shop.completed(tags={"customer": 7, "country": "gb"}), shop.exhausted()
    waiting = shop.start()
    found = {each["id"]: each for each in listed(shop)["sagas"]}
    assert found[tagged]["tags"] == {"country": "gb", "customer": "7"}
    assert found[broken]["why"] == "label: failed for good behind the pivot (shop.Broken: no)"
    assert (found[waiting]["tags"], found[waiting]["why"], found[tagged]["why"]) == ({}, None, None)
    shop.clock.turn(STUCK_AFTER + 20)
    found = {each["id"]: each["why"] for each in listed(shop)["sagas"]}
    assert found[waiting].startswith("should have moved")
    assert found[tagged] is None


def test_several_tags(shop):
    both = shop.start(tags={"customer": 7, "city": "Paris, France"})
    shop.start(tags={"customer": 7})
    assert ids(listed(shop, tag="customer=7,city=Paris, France")["sagas"]) == [both]
    assert ids(listed(shop, tag="city=Paris, France,customer=7")["sagas"]) == [both]


def test_by_when_they_started(shop):
    old = shop.start()
    shop.clock.turn(7200)
    new = shop.start()
    moment = (shop.clock.time - timedelta(hours=1)).isoformat()
    for parameter in (moment, "1h", "60m"):
        assert ids(listed(shop, since=parameter)["sagas"]) == [new]
        assert ids(listed(shop, until=parameter)["sagas"]) == [old]
    assert ids(listed(shop, since="3h", until="1h")["sagas"]) == [old]


def test_an_id_is_found_by_its_beginning_and_a_key_as_a_whole(shop):
    saga_id = shop.start(key="order-17")
    other = shop.start("shop.parcel", key="order-17")
    assert ids(listed(shop, search=saga_id[:34], name="shop.order")["sagas"]) == [saga_id]
    assert ids(listed(shop, search="order-17")["sagas"]) == [other, saga_id]
    assert ids(listed(shop, search="order-17", name="shop.order")["sagas"]) == [saga_id]
    found = listed(shop, search="order-1")
    assert (found["sagas"], found["search"]) == ([], "exact")
    assert listed(shop)["search"] is None


def test_a_page_may_be_short_where_a_tag_is_common(shop, monkeypatch):
    tagged = shop.start(tags={"country": "gb"})
    middle = shop.start()
    newest = shop.start(tags={"country": "gb"})
    monkeypatch.setattr(queries, "FEW", 1)
    monkeypatch.setattr(queries, "MOST_LOOKED_AT", 2)
    first = listed(shop, tag="country=gb")
    assert (ids(first["sagas"]), first["next"]) == ([newest], middle)
    assert first["looked_back_to"] is not None
    second = listed(shop, tag="country=gb", after=first["next"])
    assert (ids(second["sagas"]), second["next"], second["looked_back_to"]) == ([tagged], None, None)


def test_no_more_than_some_stuck_sagas_are_told_of_in_full(shop, monkeypatch):
    monkeypatch.setattr(listing, "MOST_STUCK", 1)
    first, second = shop.exhausted(), shop.exhausted()
    for found in (listed(shop), listed(shop, stuck="1")):
        assert ids(found["sagas"]) == [second, first]
        assert ids(found["stuck"]) == [second]
        assert [each["why"] is not None for each in found["sagas"]] == [True, True]


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
        ({"tag": "customer=7,customer=8"}, "two of 'customer' are asked for"),
        ({"since": "yesterday"}, "since: 'yesterday' is no length of time"),
        ({"until": "2030-01-01T00:00"}, "until: .* is no time with a zone"),
        ({"since": "999999d"}, "there was no time"),
        ({"since": "9999999999d"}, "since: "),
    ],
)
def test_what_can_not_be_asked_is_told(shop, parameters, sentence):
    with pytest.raises(InputRejected, match=sentence):
        listed(shop, **parameters)


def test_a_page_behind_a_saga_that_is_gone_is_refused(shop):
    with pytest.raises(SagaNotFound):
        listed(shop, after="gone")
