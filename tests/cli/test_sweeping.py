"""`saga sweep`."""

import os
import signal
import threading

import pytest

from saga_celery.cli.sweeping import Rounds
from saga_celery.engine.sweeper import Sweeper, Swept
from saga_celery.errors import SchemaOutOfDate, StoreUnavailable


def test_once_deals_with_what_is_due_and_ends(shop):
    shop.start()
    result = shop("sweep", "--once")
    assert (result.exit_code, result.stdout) == (0, "0 found, 0 put off because of an error\n")
    shop.clock.turn(60)
    result = shop("sweep", "--once", "-v")
    assert result.stdout.splitlines() == ["1 found, 0 put off because of an error"] * 2


def test_once_goes_on_while_there_is_more(shop, monkeypatch):
    left = [Swept(found=2, more=True), Swept(found=1)]
    monkeypatch.setattr(Sweeper, "tick", lambda self: left.pop(0))
    assert shop("sweep", "--once").stdout == "3 found, 0 put off because of an error\n"


def test_once_tells_of_what_went_wrong(shop, monkeypatch):
    shop.start()
    shop.clock.turn(60)
    monkeypatch.setattr(shop.sagas.transport, "nudge", lambda ids: 1 / 0)
    assert shop("sweep", "--once").exit_code == 3


def test_tables_that_are_missing_end_it(unmigrated):
    assert unmigrated("sweep").exit_code == 3


@pytest.fixture
def ticks(shop, monkeypatch):
    """What the sweeper's ticks bring; after the last one SIGTERM comes."""

    def arrange(*happenings):
        left = list(happenings)

        def tick(self):
            happening = left.pop(0)
            if not left:
                os.kill(os.getpid(), signal.SIGTERM)
            if isinstance(happening, Exception):
                raise happening
            return happening

        monkeypatch.setattr(Sweeper, "tick", tick)
        return left

    return arrange


def test_a_signal_ends_it_in_good_order(shop, ticks):
    before = signal.getsignal(signal.SIGTERM)
    left = ticks(Swept(found=2, more=True), Swept(found=1, failed=1, more=True), Swept())
    result = shop("sweep", "--verbose")
    assert result.exit_code == 0
    assert not left
    assert result.stdout.splitlines() == [
        "2 found, 0 put off because of an error",
        "1 found, 1 put off because of an error",
    ]
    assert result.stderr.splitlines()[-1] == "stopped"
    assert signal.getsignal(signal.SIGTERM) is before
    assert [beat.age >= 20 for beat in shop.sagas.store.queries.heartbeats()] == [True]


def test_it_survives_an_outage_of_the_database(shop, ticks, monkeypatch):
    rests = []
    monkeypatch.setattr(threading.Event, "wait", lambda self, seconds=None: rests.append(seconds))
    gone = StoreUnavailable("the saga database does not answer: gone")
    ticks(*[gone] * 7, Swept())
    result = shop("sweep")
    assert result.exit_code == 0
    assert "gone; next try in 2 s" in result.stderr
    assert "the database answers again" in result.stderr
    assert rests == [2, 4, 8, 16, 30, 30, 30, 1]


def test_tables_that_vanish_end_it(shop, ticks):
    ticks(SchemaOutOfDate("gone"), Swept())
    result = shop("sweep")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (3, "Error: gone")


def test_it_is_seen_alive_while_it_runs(shop):
    rounds = Rounds(shop.sagas, tell=print, found=print)
    seen = []
    shop.sagas.sweeper = lambda: Looker(lambda: (seen.extend(shop.sagas.living().workers), rounds.stop()))
    rounds.until_stopped()
    assert len(seen) == 1
    assert seen[0].startswith("saga-sweep@")
    assert not shop.sagas.living().workers


class Looker:
    def __init__(self, look):
        self.look = look

    def tick(self):
        self.look()
        return Swept()
