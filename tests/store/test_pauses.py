"""Pauses outlive the process that asked for them, and what they held is due at once when they end."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from saga_celery.engine.ports import NUDGE_SLOT, Awaited, PauseKind
from saga_celery.store.schema import saga_awaited
from tests.store.examples import CHARGE, due, moved, started

TASK, NAME = PauseKind.TASK, PauseKind.NAME


def begin(store, kind=TASK, name="billing.charge", actor="ann", reason="gateway down"):
    return store.pauses.begin(kind, name, actor=actor, reason=reason)


def test_a_pause_is_kept_with_who_and_why(store, another, clock):
    made, is_new = begin(store)
    assert is_new
    (found,) = another().pauses.all()
    assert found == made
    assert (found.kind, found.name, found.since, found.actor, found.reason) == (
        TASK, "billing.charge", clock.time, "ann", "gateway down",
    )  # fmt: skip


def test_what_is_paused_already_stays_as_it_is(store, clock):
    first, _ = begin(store)
    clock.turn(60)
    assert begin(store, actor="bob", reason="me too") == (first, False)
    assert store.pauses.all() == [first]


def test_a_name_and_a_task_of_the_same_name_are_two_pauses(store, clock):
    begin(store)
    clock.turn(1)
    begin(store, NAME)
    assert [pause.kind for pause in store.pauses.all()] == [TASK, NAME]
    assert store.pauses.end(TASK, "billing.charge")
    assert [pause.kind for pause in store.pauses.all()] == [NAME]
    assert not store.pauses.end(TASK, "billing.charge")


def test_names_differ_by_case(store):
    begin(store)
    begin(store, name="Billing.charge")
    assert len(store.pauses.all()) == 2


def test_two_that_pause_at_once_make_one_pause(another, store):
    stores = [another() for _ in range(4)]
    gate = threading.Barrier(4, timeout=60)

    def both(mine):
        gate.wait()
        return begin(mine)[1]

    with ThreadPoolExecutor(4) as pool:
        news = list(pool.map(both, stores))
    assert any(news)
    assert len(store.pauses.all()) == 1


def test_what_no_database_stores_is_replaced(store):
    begin(store, actor="a\0" * 300, reason="why\0" * 1000)
    (found,) = store.pauses.all()
    assert found.actor.startswith("a\N{REPLACEMENT CHARACTER}")
    assert len(found.actor) == 200
    assert len(found.reason) == 4000


# --------------------------------------------------------------------------------------------------------- held rows


@pytest.fixture
def held(store):
    """A saga whose charge is paused, to be looked at in 30 s."""
    kept = due(CHARGE, awaited=Awaited.HELD, attempt=1, epoch=2, timeout=5.0)
    return moved(store, started(store), awaited=(kept,), settled=(NUDGE_SLOT,))


def claimed(store, clock, seconds):
    clock.turn(seconds)
    (row,) = [row for row in store.overdue(10, 30.0) if row.slot.step == "charge"]
    return row


def row_of(store):
    with store.connections.autocommit() as connection:
        return connection.execute(sa.select(saga_awaited).where(saga_awaited.c.step == "charge")).one()


def test_the_end_of_a_pause_makes_all_that_is_held_due(store, clock, held):
    begin(store)
    assert store.overdue(10, 30.0) == []
    store.pauses.end(TASK, "billing.charge")
    assert claimed(store, clock, 0.001).awaited is Awaited.HELD


def test_nothing_else_becomes_due_by_it(store, clock):
    moved(store, started(store), awaited=(due(CHARGE, attempt=1),), settled=(NUDGE_SLOT,))
    store.pauses.end(TASK, "billing.charge")
    clock.turn(1)
    assert store.overdue(10, 30.0) == []


def test_a_held_row_rests(store, clock, held):
    store.hold(claimed(store, clock, 31), 20.0)
    clock.turn(19)
    assert store.overdue(10, 30.0) == []
    assert claimed(store, clock, 2).resends == 0


def test_a_row_whose_pause_ended_meanwhile_is_not_put_off(store, clock, held):
    row = claimed(store, clock, 31)
    store.pauses.end(TASK, "billing.charge")
    store.hold(row, 20.0)
    assert claimed(store, clock, 0.001)


def test_a_release_begins_the_wait_for_the_start_and_happens_once(store, clock, held):
    row = claimed(store, clock, 31)
    sent = due(CHARGE, attempt=1, epoch=2, timeout=5.0)
    assert store.release(row, sent)
    assert not store.release(row, sent)
    found = row_of(store)
    assert (found.awaited, found.attempt, found.resends, found.since) == ("start", 1, 0, clock.time)
    assert claimed(store, clock, 31).age == pytest.approx(31.0, abs=0.01)


def test_what_a_transition_changed_is_not_released(store, clock, held):
    row = claimed(store, clock, 31)
    moved(store, held, awaited=(due(CHARGE, awaited=Awaited.HELD, attempt=1, epoch=2, timeout=5.0),))
    assert not store.release(row, due(CHARGE, attempt=1, epoch=2, timeout=5.0))
