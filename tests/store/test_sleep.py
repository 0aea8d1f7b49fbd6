"""What a suspended saga awaits sleeps: no sweeper looks at it again until the very transition that resumes the saga."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from saga_celery.core.states import SagaStatus, Slot
from saga_celery.engine.ports import DEADLINE_SLOT, NUDGE_SLOT, Awaited
from saga_celery.store.clock import DatabaseClock
from saga_celery.store.schema import saga_awaited
from tests.store.examples import CHARGE, due, moved, started

SHIP = Slot("ship")
YEAR = 365 * 86400


@pytest.fixture
def suspended(store):
    """A saga with one wait that is due in 30 seconds and one that is due in an hour."""
    waits = (due(CHARGE, awaited=Awaited.REST), due(SHIP, awaited=Awaited.END, seconds=3600.0, timeout=3600.0))
    state = moved(store, started(store), awaited=waits, settled=(NUDGE_SLOT,), status=SagaStatus.RUNNING)
    return moved(store, state, suspended=True)


def claimed(store, clock, seconds=31.0):
    clock.turn(seconds)
    (row,) = store.overdue(10, 30.0)
    return row


def due_steps(store):
    return sorted(row.slot.step for row in store.overdue(10, 30.0))


def test_it_is_not_looked_at_for_years(store, clock, suspended):
    store.sleep(claimed(store, clock))
    clock.turn(3500)
    assert due_steps(store) == []
    clock.turn(10 * YEAR)
    assert due_steps(store) == ["ship"]


def test_it_is_no_sign_of_trouble(store, clock, suspended):
    store.sleep(claimed(store, clock))
    clock.turn(3000)
    assert store.queries.count(stuck=True) == 0
    assert store.queries.oldest_overdue() == 0.0


def test_the_resume_makes_it_due_and_leaves_the_others(store, clock, suspended):
    store.sleep(claimed(store, clock))
    moved(store, suspended, suspended=False)
    assert due_steps(store) == ["charge"]
    clock.turn(3600)
    assert due_steps(store) == ["charge", "ship"]


def test_what_the_resume_itself_awaits_or_settles_is_its_own(store, clock, suspended):
    store.sleep(claimed(store, clock))
    anew = due(CHARGE, awaited=Awaited.START, seconds=60.0, attempt=2)
    moved(store, suspended, suspended=False, awaited=(anew,), settled=(SHIP,))
    assert due_steps(store) == []
    clock.turn(61)
    (row,) = store.overdue(10, 30.0)
    assert (row.slot, row.awaited, row.attempt) == (CHARGE, Awaited.START, 2)


def test_a_sweeper_that_saw_it_suspended_comes_too_late_after_the_resume(store, clock, suspended):
    row = claimed(store, clock)
    moved(store, suspended, suspended=False)
    store.sleep(row)
    clock.turn(31)
    assert due_steps(store) == ["charge"]


def test_a_saga_that_ends_at_its_resume_awaits_nothing(store, clock, suspended):
    store.sleep(claimed(store, clock))
    moved(store, suspended, suspended=False, status=SagaStatus.COMPENSATED, settled=(DEADLINE_SLOT,))
    with store.connections.autocommit() as connection:
        assert connection.execute(sa.select(saga_awaited)).all() == []


def test_the_end_of_a_pause_does_not_send_it(store, clock):
    state = moved(store, started(store), awaited=(due(CHARGE, awaited=Awaited.HELD),), settled=(NUDGE_SLOT,))
    state = moved(store, state, suspended=True)
    store.sleep(claimed(store, clock))
    store.pauses._awaited.release_soon()
    assert due_steps(store) == ["charge"]  # it is looked at, seen to be suspended, and sleeps again
    moved(store, state, suspended=False)


def test_sweepers_and_the_resume_at_the_same_moment_leave_nothing_asleep(another, store, clock, suspended):
    state = suspended
    for _ in range(15):
        row = claimed(store, clock)
        sweeper, gate = another(), threading.Barrier(2, timeout=60)

        def sleep(sweeper=sweeper, row=row, gate=gate):
            gate.wait()
            sweeper.sleep(row)

        def resume(state=state, gate=gate):
            gate.wait()
            return moved(store, state, suspended=False)

        with ThreadPoolExecutor(2) as pool:
            asleep, resumed = pool.submit(sleep), pool.submit(resume)
            asleep.result()
            state = resumed.result()
        clock.turn(31)
        assert due_steps(store) == ["charge"]
        anew = due(CHARGE, awaited=Awaited.REST)
        state = moved(store, state, suspended=True, awaited=(anew,))


def test_by_the_clock_of_the_database_too(another):
    store = another(clock=DatabaseClock())
    state = moved(store, started(store), awaited=(due(CHARGE, seconds=-1.0),), settled=(NUDGE_SLOT,), suspended=True)
    (row,) = store.overdue(10, 0.0)
    store.sleep(row)
    assert due_steps(store) == []
    moved(store, state, suspended=False)
    assert due_steps(store) == ["charge"]
