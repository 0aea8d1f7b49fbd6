"""`saga hooks`."""

from dataclasses import replace

import pytest

from saga_celery.engine.ports import Delivery


@pytest.fixture
def told(shop):
    """A delivery that is under way, and one that was given up."""
    saga_id = shop.start()
    payload = {"saga_name": "shop.order"}
    given = {"saga_id": saga_id, "event": "saga_failed", "payload": payload}
    rows = shop.sagas.store.deliveries
    first, second = Delivery(id="e-1", task="ops.page", **given), Delivery(id="e-2", task="", tries=12, **given)
    rows.replace(replace(first, id="none"), [first, second])
    rows.give_up(second)
    shop.saga_id = saga_id
    return shop


def test_each_tells_how_often_it_was_sent_and_what_comes_next(told):
    told.clock.turn(30)
    result = told("hooks")
    assert result.exit_code == 0
    heading, first, second = result.stdout.splitlines()
    assert heading.split() == ["EVENT", "ID", "SAGA", "EVENT", "TASK", "SINCE", "SENT", "NEXT"]
    assert first.split()[:5] == ["e-1", "shop.order", told.saga_id, "saga_failed", "ops.page"]
    assert first.endswith("30 s ago  1×    in 30 s")
    assert "(class not known)" in second
    assert second.endswith("12×   given up")
    assert "2 open; `saga hooks --resend EVENT_ID`" in result.stderr


def test_json_has_stable_names(told):
    assert told.json("hooks", "--given-up") == [
        {
            "id": "e-2",
            "saga": told.saga_id,
            "name": "shop.order",
            "event": "saga_failed",
            "task": None,
            "since": "2030-01-01T12:00:00.000Z",
            "sent": 12,
            "due": None,
            "given_up": True,
            "payload": {"saga_name": "shop.order"},
        }
    ]


def test_a_limit_says_that_there_are_more(told):
    result = told("hooks", "--limit", "1")
    assert len(result.stdout.splitlines()) == 2
    assert "the oldest 1; there are more" in result.stderr


def test_none_is_good_news(shop):
    result = shop("hooks")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "0 open\n")


def test_one_is_sent_again_and_another_dropped(told):
    result = told("hooks", "--resend", "e-2", "--drop", "e-1")
    assert (result.exit_code, result.stdout) == (0, "1 to be sent again, 1 dropped\n")
    (left,) = told.json("hooks")
    assert (left["id"], left["sent"], left["given_up"]) == ("e-2", 0, False)


def test_an_id_that_is_not_open_is_refused_before_anything_is_done(told):
    result = told("hooks", "--drop", "e-1", "--resend", "e-9")
    assert result.exit_code == 3
    assert "no open hook has the event id 'e-9'; it may have ended by now" in result.stderr
    assert len(told.json("hooks")) == 2


def test_the_doctor_tells_of_what_was_given_up(told):
    found = {each["subject"]: each for each in told.json("doctor")}["hooks"]
    assert (found["level"], found["text"]) == ("FIX", "1 never ran to their end and are given up")
    assert found["fix"] == "see `saga hooks --given-up`"


def test_after_it_is_sent_again_the_doctor_is_content(told):
    told("hooks", "--resend", "e-2")
    assert {each["subject"]: each for each in told.json("doctor")}["hooks"]["level"] == "OK"
