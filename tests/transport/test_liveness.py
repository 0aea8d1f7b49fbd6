"""`heartbeat()` in real workers, and how rare it makes the signs that it passes on."""

import json

import pytest

from saga_celery import heartbeat
from saga_celery.transport.liveness import RAREST, SHARE, Signs
from tests.transport.lab import PATIENCE, outgoing


class Line:
    """What the signs go to, and a clock."""

    def __init__(self, lease=60.0):
        self.passed = 0
        self.wanted = True
        self.now = 100.0
        self.signs = Signs(self, lease, clock=lambda: self.now)

    def alive(self):
        self.passed += 1
        return self.wanted

    def after(self, seconds):
        self.now += seconds
        return self.signs.give()


def test_a_thousand_calls_make_one_sign_in_a_few_seconds():
    line = Line()
    for _ in range(1000):
        assert line.after(0.01)
    assert line.passed == 10 / RAREST


def test_a_short_lease_gets_several_signs():
    line = Line(lease=2.0)
    for _ in range(100):
        line.after(0.1)
    assert line.passed == pytest.approx(10 / (2.0 / SHARE), abs=4)


def test_once_unwanted_nobody_is_asked_again():
    line = Line()
    line.wanted = False
    assert line.after(1)
    assert not line.after(RAREST)
    line.wanted = True
    assert not line.after(RAREST)
    assert line.passed == 1


def test_outside_a_task_it_does_nothing():
    assert heartbeat() is True


# ------------------------------------------------------------------------------------------------------- real workers


@pytest.fixture(scope="module")
def pair(module_lab):
    """A worker with the database and one without, each with one seat."""
    options = ("-P", "prefork", "-c", "1", "-Q")
    module_lab.start("some_app", *options, "steps", SAGA_TEST_DATABASE="fake")
    module_lab.start("some_app", *options, "remote")
    return module_lab


def send(lab, key, queue, **more):
    sent = outgoing("beats", key, queue=queue, timeout=1.0, **more)
    lab.send(sent)
    return sent.saga_id


def signs(lab, saga_id, count):
    found = [lab.notes.blpop(f"signs:{saga_id}", timeout=PATIENCE) for _ in range(count)]
    assert all(found), lab.log.read_text()[-3000:]
    return [json.loads(sign) for _, sign in found]


def outcome(lab, saga_id):
    """The first news besides that of the start."""
    while (news := lab.news(saga_id))["kind"] == "AttemptStarted":
        pass
    return news


@pytest.mark.acceptance
@pytest.mark.parametrize("queue", ["steps", "remote"])
@pytest.mark.parametrize("claim", [False, True])
def test_signs_reach_the_store_until_the_task_ends(pair, queue, claim):
    saga_id = send(pair, f"{queue} {claim}", queue, claim=claim)
    first, second, third = signs(pair, saga_id, 3)
    assert first == second == third
    assert (first["slot"], first["attempt"]) == (["charge", 0, "action", 1], 1)
    assert first["worker"].startswith("w")
    pair.notes.rpush(f"release:{queue} {claim}", 1)
    assert outcome(pair, saga_id)["result"] == "released"


@pytest.mark.acceptance
@pytest.mark.parametrize("why", ["unwanted", "cancelled"])
def test_a_task_that_nobody_waits_for_is_told(pair, why):
    sent = outgoing("beats", "never", timeout=1.0)
    pair.notes.set(f"{why}:{sent.saga_id}", 1)
    pair.send(sent)
    news = outcome(pair, sent.saga_id)
    assert (news["kind"], news["failure"]["type"]) == ("AttemptFailed", "InterruptedError")


@pytest.mark.acceptance
def test_a_worker_without_the_database_goes_on(pair):
    sent = outgoing("beats", "remote unwanted", queue="remote", timeout=1.0)
    pair.notes.set(f"unwanted:{sent.saga_id}", 1)
    pair.send(sent)
    assert len(signs(pair, sent.saga_id, 3)) == 3
    pair.notes.rpush("release:remote unwanted", 1)
    assert outcome(pair, sent.saga_id)["result"] == "released"


@pytest.mark.acceptance
def test_while_the_database_is_away_it_goes_on(pair):
    sent = outgoing("beats", "away", timeout=1.0)
    pair.notes.set(f"away:{sent.saga_id}", 3)
    pair.send(sent)
    assert signs(pair, sent.saga_id, 1)
    pair.notes.rpush("release:away", 1)
    assert outcome(pair, sent.saga_id)["result"] == "released"
    assert "a sign of life of saga" in pair.log.read_text()


@pytest.mark.acceptance
def test_a_claimed_attempt_signs_with_the_number_that_was_granted(pair):
    sent = outgoing("beats", "granted", claim=True, timeout=1.0)
    pair.notes.hset(f"claim:{sent.saga_id}", mapping={"worker": "gone@host:1", "epoch": 1, "attempt": 1})
    pair.notes.sadd("known", "gone@host:1")
    pair.send(sent)
    assert signs(pair, sent.saga_id, 1)[0]["attempt"] == 1
    pair.notes.rpush("release:granted", 1)
    assert outcome(pair, sent.saga_id)["result"] == "released"
