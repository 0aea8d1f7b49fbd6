"""A sign of life moves the lease of the attempt that gave it, and of no other."""

import pytest
import sqlalchemy as sa

from saga_celery.core.states import Slot
from saga_celery.engine.ports import NUDGE_SLOT, Awaited, Running
from saga_celery.store.schema import saga_awaited
from tests.store.examples import CHARGE, due, moved, started

CURRENT = CHARGE._replace(generation=2)


@pytest.fixture
def sent(store):
    """A saga whose charge was sent."""
    return waits(store)


def waits(store, slot=CURRENT, **more):
    return moved(store, started(store), awaited=(due(slot, attempt=1, timeout=10.0, **more),), settled=(NUDGE_SLOT,))


def row_of(store):
    with store.connections.autocommit() as connection:
        return connection.execute(sa.select(saga_awaited).where(saga_awaited.c.step == "charge")).one()


def claimed(store, clock, seconds):
    clock.turn(seconds)
    (row,) = [row for row in store.overdue(10, 30.0) if row.slot.step == "charge"]
    return row


def test_the_time_counts_from_the_sign(store, clock, sent):
    clock.turn(20)
    assert store.extend("s1", CURRENT, 1, "w1")
    found = row_of(store)
    assert (found.awaited, found.worker, found.timeout, found.since) == ("end", "w1", 10.0, clock.time)
    row = claimed(store, clock, 12)
    assert (row.awaited, row.worker) == (Awaited.END, "w1")
    assert row.age == pytest.approx(12.0, abs=0.01)


def test_a_second_sign_moves_it_on(store, clock, sent):
    assert store.extend("s1", CURRENT, 1, "w1")
    clock.turn(8)
    assert store.extend("s1", CURRENT, 1, "w1")
    assert row_of(store).since == clock.time


@pytest.mark.parametrize(("slot", "attempt"), [(CURRENT, 2), (CHARGE, 1), (Slot("pack"), 1)])
def test_another_attempts_sign_changes_nothing(store, sent, slot, attempt):
    assert not store.extend("s1", slot, attempt, "w1")
    assert row_of(store).awaited == "start"


def test_another_workers_sign_changes_nothing(store, clock, sent):
    assert store.extend("s1", CURRENT, 1, "w1")
    before = row_of(store)
    clock.turn(5)
    assert not store.extend("s1", CURRENT, 1, "w2")
    assert row_of(store) == before


@pytest.mark.parametrize("awaited", [Awaited.HELD, Awaited.REST])
def test_what_does_not_run_has_no_lease(store, awaited):
    waits(store, awaited=awaited)
    assert not store.extend("s1", CURRENT, 1, "w1")
    assert row_of(store).awaited == awaited


def seen(store, row, seconds):
    running = Running(saga_id="s1", slot=CURRENT, attempt=1, worker="w1", started=True, seconds=seconds)
    store.observe(row, running, 15.0)


def test_an_observation_does_not_take_a_sign_back(store, clock, sent):
    clock.turn(28)
    assert store.extend("s1", CURRENT, 1, "w1")
    signed = clock.time
    seen(store, claimed(store, clock, 3), 31.0)
    assert row_of(store).since == signed


def test_an_observation_without_a_sign_tells_when_it_began(store, clock, sent):
    row = claimed(store, clock, 31)
    seen(store, row, 4.0)
    assert claimed(store, clock, 15.5).age == pytest.approx(19.5, abs=0.01)
