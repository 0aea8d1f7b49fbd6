"""Who lives, who is known, and what they have in hand."""

import pytest

from saga_celery.core.states import Direction, Slot
from saga_celery.engine.ports import Running

SLOT = Slot("charge", 3, Direction.COMPENSATION, 2)


def running(worker="w1", started=True):
    return Running(saga_id="s1", slot=SLOT, attempt=4, worker=worker, started=started, seconds=1.5)


def test_a_worker_lives_while_it_beats(store, clock):
    store.beat("w1", [])
    clock.turn(15)
    store.beat("w1", [])
    store.beat("w2", [])
    clock.turn(15)
    assert store.living().workers == {"w1", "w2"}
    clock.turn(10)
    living = store.living()
    assert living.workers == set()
    assert living.known == {"w1", "w2"}


def test_a_heartbeat_lists_what_the_worker_has_in_hand(store, clock):
    store.beat("w1", [])
    store.beat("w1", [running()])
    clock.turn(4)
    found = store.living().holder("s1", SLOT, 4)
    assert found.seconds == pytest.approx(5.5, abs=0.01)
    assert (found.slot, found.worker, found.started) == (SLOT, "w1", True)
    assert store.living().holder("s1", SLOT, 5) is None


def test_what_has_not_begun_has_not_been_running(store, clock):
    store.beat("w1", [running(started=False)])
    clock.turn(4)
    assert store.living().holder("s1", SLOT, 4).seconds == 1.5


def test_the_dead_have_nothing_in_hand(store, clock):
    store.beat("w1", [running()])
    clock.turn(21)
    assert store.living().attempts == {}


def test_who_says_farewell_is_dead_at_once_and_still_known(store):
    store.beat("w1", [running()])
    store.farewell("w1")
    living = store.living()
    assert (living.workers, living.known, living.attempts) == (set(), {"w1"}, {})
    store.beat("w1", [])
    assert store.living().workers == {"w1"}


def test_the_long_dead_are_forgotten(store, clock):
    store.beat("old", [])
    clock.turn(86_401)
    store.beat("w1", [])
    assert store.living().known == {"w1"}


def test_a_heartbeat_tells_when_its_worker_last_swept(store, clock):
    store.beat("idle", [])
    assert store.queries.swept() is None
    store.beat("w1", [], 1.5)
    store.beat("w2", [])
    store.beat("w2", [], 0.5)
    store.farewell("w2")
    clock.turn(7)
    store.beat("w1", [])
    assert store.queries.swept() == pytest.approx(7.5, abs=0.01)
    found = {beat.worker: beat.swept for beat in store.queries.heartbeats()}
    assert found == {"idle": None, "w1": pytest.approx(8.5, abs=0.01), "w2": pytest.approx(7.5, abs=0.01)}


def test_people_see_the_latest_sign_of_life(store, clock):
    store.beat("w1", [running()])
    clock.turn(7)
    (found,) = store.queries.heartbeats()
    assert (found.worker, found.attempts) == ("w1", 1)
    assert found.age == pytest.approx(7.0, abs=0.01)
