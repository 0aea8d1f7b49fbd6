"""What a person may do to many sagas at once from a web page."""

from __future__ import annotations

import pytest

from saga_celery import InputRejected, Refused, StaleVersion
from saga_celery.contrib import console
from saga_celery.contrib.console import bulk


def act(shop, verb, actor="ann", **body):
    return console.act_on_many(shop.sagas, verb, {"reason": "unwanted", **body}, actor=actor)


def matching(shop, **parameters):
    return console.matching(shop.sagas, parameters)


def states(shop, ids):
    return [shop.sagas.store.load(each).status.value for each in ids]


@pytest.fixture
def open_ones(shop):
    return [shop.start(key=f"k{number}", tags={"customer": number % 2}) for number in range(3)]


def test_what_a_filter_finds_is_counted(shop, open_ones, monkeypatch):
    shop.completed()
    assert matching(shop) == {"count": 4, "more": False}
    assert matching(shop, state="PENDING", tag="customer=0") == {"count": 2, "more": False}
    assert matching(shop, search="k1", limit="1", after=open_ones[2]) == {"count": 1, "more": False}
    monkeypatch.setattr(bulk, "MOST_COUNTED", 3)
    assert matching(shop) == {"count": 3, "more": True}


def test_all_that_fit_a_filter(shop, open_ones):
    found = act(shop, "cancel", filter={"state": "PENDING", "tag": "customer=0"}, expected_count=2)
    assert found == {"verb": "cancel", "done": 2, "refused": []}
    assert states(shop, open_ones) == ["COMPENSATED", "PENDING", "COMPENSATED"]
    history = shop.sagas.store.queries.history(open_ones[0])
    assert "ann" in [entry.actor for entry in history]
    assert "unwanted" in str(history)


def test_those_that_are_ticked_and_one_that_refuses_does_not_stop_the_others(shop, open_ones):
    done = shop.completed(key="done")
    found = act(shop, "cancel", ids=[done, open_ones[0], "nobody", open_ones[0], open_ones[1]])
    assert found["done"] == 2
    refused = {each["id"]: (each["key"], each["error"]) for each in found["refused"]}
    assert set(refused) == {done, "nobody"}
    assert refused[done][0] == "done"
    assert "nobody" in refused["nobody"][1]
    assert states(shop, open_ones) == ["COMPENSATED", "COMPENSATED", "PENDING"]


def test_a_bug_at_one_saga_is_not_told_to_browsers(shop, open_ones, monkeypatch):
    def broken(saga_id, asked):
        raise ValueError("at /srv/secret")

    monkeypatch.setattr(shop.sagas.desk, "operate", broken)
    (refused,) = act(shop, "cancel", ids=open_ones[:1])["refused"]
    assert refused["error"] == "ValueError: see the log of the server"


def test_what_goes_with_a_verb_is_the_same_for_each(shop):
    doubtful, broken = [shop.in_doubt() for _ in range(2)], shop.exhausted()
    asked = {"filter": {"stuck": "1", "name": "shop.order"}, "expected_count": 2}
    assert act(shop, "resolve", step="tell", resolution="done", result="told", **asked)["done"] == 2
    load = shop.sagas.store.load
    assert [load(each).step("tell", 0).result for each in doubtful] == ["told", "told"]
    assert act(shop, "skip", step="label", result="by hand", ids=[broken])["done"] == 1
    assert load(broken).step("label", 0).result == "by hand"


def test_suspend_retry_and_resume(shop, open_ones):
    assert act(shop, "suspend", ids=open_ones)["done"] == 3
    assert act(shop, "resume", filter={"suspended": "1"}, expected_count=3)["done"] == 3
    assert matching(shop, suspended="1")["count"] == 0
    broken = shop.exhausted()
    assert act(shop, "retry", filter={"state": "FAILED"}, expected_count=1)["done"] == 1
    assert states(shop, [broken]) == ["RUNNING"]


def test_when_others_fit_by_now_nothing_happens(shop, open_ones):
    with pytest.raises(StaleVersion, match="look again: 3 now, not 2"):
        act(shop, "cancel", filter={"state": "PENDING"}, expected_count=2)
    assert states(shop, open_ones) == ["PENDING"] * 3


def test_too_many_at_once_are_refused(shop, open_ones, monkeypatch):
    monkeypatch.setattr(bulk, "MOST_AT_ONCE", 2)
    for which in ({"filter": {"state": "PENDING"}, "expected_count": 3}, {"ids": open_ones}):
        with pytest.raises(
            InputRejected, match="more than 2 sagas at once; narrow it down, or use the command `saga cancel`"
        ):
            act(shop, "cancel", **which)
    assert states(shop, open_ones) == ["PENDING"] * 3


@pytest.mark.parametrize("filter", [{}, {"name": ""}, {"limit": "10"}, {"after": "x"}, {"stuck": "0"}])
def test_a_filter_that_says_nothing_is_refused(shop, open_ones, filter):
    with pytest.raises(InputRejected, match="every saga of the database would be touched"):
        act(shop, "cancel", filter=filter, expected_count=3)
    assert states(shop, open_ones) == ["PENDING"] * 3


@pytest.mark.parametrize("reason", ["", "  "])
def test_without_a_reason_or_a_name_nothing_happens(shop, open_ones, reason):
    with pytest.raises(Refused, match="say why"):
        act(shop, "cancel", ids=open_ones, reason=reason)
    with pytest.raises(Refused, match="nobody is named"):
        act(shop, "cancel", actor=" ", ids=open_ones)
    assert states(shop, open_ones) == ["PENDING"] * 3


@pytest.mark.parametrize(
    ("verb", "body", "sentence"),
    [
        ("send", {"ids": ["x"]}, "no action 'send' for many sagas; known are: retry"),
        ("compensate", {"ids": ["x"]}, "no action 'compensate'"),
        ("cancel", ["x"], "no JSON object"),
        ("cancel", {"raeson": "x"}, "did you mean 'reason'"),
        ("cancel", {}, "by `ids` or by `filter`"),
        ("cancel", {"ids": ["x"], "filter": {"state": "FAILED"}}, "by `ids` or by `filter`"),
        ("cancel", {"ids": []}, "a list of texts"),
        ("cancel", {"ids": "x"}, "a list of texts"),
        ("cancel", {"ids": [7]}, "a list of texts"),
        ("cancel", {"ids": ["x"], "expected_count": 2}, "not how many ids"),
        ("cancel", {"filter": {"state": "FAILED"}}, "expected_count is a whole number"),
        ("cancel", {"filter": {"state": "FAILED"}, "expected_count": True}, "expected_count is a whole number"),
        ("cancel", {"filter": ["state"], "expected_count": 1}, "JSON object of texts"),
        ("cancel", {"filter": {"stuck": True}, "expected_count": 1}, "JSON object of texts"),
        ("cancel", {"filter": {"colour": "red"}, "expected_count": 1}, "no parameter 'colour'"),
        ("cancel", {"ids": ["x"], "step": 7}, "step is a text"),
        ("cancel", {"ids": ["x"], "reason": 7}, "reason is a text"),
        ("resolve", {"ids": ["x"], "resolution": "perhaps"}, "one of 'done', 'never'"),
    ],
)
def test_what_can_not_be_asked_is_told(shop, verb, body, sentence):
    with pytest.raises(InputRejected, match=sentence):
        console.act_on_many(shop.sagas, verb, body, actor="ann")
