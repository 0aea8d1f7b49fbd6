"""What is due is claimed once, by nobody's leave, and changed only while it is still the same."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from saga_celery.core.states import Slot
from saga_celery.engine.ports import NUDGE_SLOT, Awaited, Running, Unanswered
from saga_celery.store.clock import DatabaseClock
from saga_celery.store.schema import saga_awaited
from tests.store.examples import CHARGE, due, moved, new, started


def row_of(store, saga_id="s1", step="charge"):
    t = saga_awaited
    with store.connections.autocommit() as connection:
        return connection.execute(sa.select(t).where(t.c.saga_id == saga_id, t.c.step == step)).one_or_none()


def claimed(store, clock, seconds=31.0):
    clock.turn(seconds)
    (row,) = [row for row in store.overdue(10, 30.0) if row.slot.step == "charge"]
    return row


@pytest.fixture
def waiting(store):
    """A saga whose charge was sent and shall start within 30 s."""
    sent = due(CHARGE._replace(generation=2), attempt=1, epoch=4, timeout=5.0)
    return moved(store, started(store), awaited=(sent,), settled=(NUDGE_SLOT,))


def test_nothing_is_due_before_its_time(store, clock, waiting):
    clock.turn(29.9)
    assert store.overdue(10, 30.0) == []


def test_what_is_due_is_claimed_with_all_that_the_sweeper_needs(store, clock, waiting):
    row = claimed(store, clock)
    assert (row.saga_id, row.slot) == ("s1", Slot("charge", generation=2))
    assert (row.awaited, row.attempt, row.epoch, row.timeout) == (Awaited.START, 1, 4, 5.0)
    assert row.age == pytest.approx(31.0, abs=0.01)
    assert row.resends == row.failures == 0


def test_a_claim_lasts_as_long_as_its_lease(store, clock, waiting):
    claimed(store, clock)
    assert store.overdue(10, 30.0) == []
    assert claimed(store, clock, 30.5)


def test_the_longest_overdue_come_first_up_to_the_limit(store, clock):
    for number in (3, 1, 2):
        store.start([new(f"s{number}")], nudge_after=float(number))
    clock.turn(10)
    assert {row.saga_id for row in store.overdue(2, 30.0)} == {"s1", "s2"}
    assert [row.saga_id for row in store.overdue(2, 30.0)] == ["s3"]


def test_two_sweepers_never_claim_the_same_row(another, store, clock):
    store.start([new(f"s{number}") for number in range(60)], nudge_after=1.0)
    clock.turn(2)
    sweepers = [another() for _ in range(4)]
    gate = threading.Barrier(4, timeout=60)

    def sweep(sweeper):
        gate.wait()
        found = []
        while len(rows := sweeper.overdue(7, 30.0)):
            found += [row.saga_id for row in rows]
        return found

    with ThreadPoolExecutor(4) as pool:
        found = [saga_id for part in pool.map(sweep, sweepers) for saga_id in part]
    assert len(found) == len(set(found))
    rest = [row.saga_id for row in store.overdue(100, 30.0)]  # what was locked by another at the moment of the look
    assert sorted([*found, *rest]) == sorted(f"s{number}" for number in range(60))


def test_a_claim_does_not_wait_for_a_row_that_is_locked(another, store, clock):
    if store.connections.dialect == "sqlite":
        pytest.skip("SQLite locks the whole file")
    store.start([new("s1"), new("s2")], nudge_after=1.0)
    clock.turn(2)
    with another().connections.transaction() as connection:
        connection.execute(sa.select(saga_awaited).where(saga_awaited.c.saga_id == "s1").with_for_update()).all()
        assert [row.saga_id for row in store.overdue(10, 30.0)] == ["s2"]
    assert [row.saga_id for row in store.overdue(10, 30.0)] == ["s1"]


def test_an_idle_sweeper_takes_no_write_lock(another, store):
    if store.connections.dialect != "sqlite":
        pytest.skip("only SQLite has a single write lock")
    with another().connections.transaction():
        assert store.overdue(10, 30.0) == []


def test_a_row_is_postponed_and_counts_why(store, clock, waiting):
    store.postpone(claimed(store, clock), 5.0, resent=True)
    row = claimed(store, clock, 6)
    assert (row.resends, row.failures) == (1, 0)
    assert row.age == pytest.approx(37.0, abs=0.01)
    store.postpone(row, 5.0, failed=True)
    assert claimed(store, clock, 6).failures == 1


@pytest.mark.parametrize(
    "change",
    [
        {"attempt": 2, "epoch": 4},
        {"attempt": 1, "epoch": 5},
        {"attempt": 1, "epoch": 4, "awaited": Awaited.REST},
        {"attempt": 1, "epoch": 4},  # the same to the eye, but another transition's wait
    ],
)
def test_a_row_that_changed_meanwhile_is_left_alone(store, clock, waiting, change):
    row = claimed(store, clock)
    later = {"slot": CHARGE._replace(generation=2), "seconds": 99.0, **change}
    moved(store, waiting, awaited=(due(**later),))
    before = row_of(store)
    store.postpone(row, 1.0, resent=True)
    store.observe(row, Running(saga_id="s1", slot=CHARGE, attempt=1, worker="w", started=True, seconds=1.0), 1.0)
    assert row_of(store) == before


def test_a_row_that_is_gone_stays_gone(store, clock, waiting):
    row = claimed(store, clock)
    moved(store, waiting, settled=(CHARGE,))
    store.postpone(row, 1.0)
    assert row_of(store) is None


def test_an_attempt_that_is_seen_running_awaits_its_end(store, clock, waiting):
    row = claimed(store, clock)
    seen = Running(saga_id="s1", slot=row.slot, attempt=1, worker="w1", started=True, seconds=4.0)
    store.observe(row, seen, 2.0)
    row = claimed(store, clock, 3)
    assert (row.awaited, row.worker, row.epoch) == (Awaited.END, "w1", 4)
    assert row.age == pytest.approx(7.0, abs=0.01)


def test_a_task_that_put_itself_back_awaits_its_start(store, clock, waiting):
    state = moved(store, waiting, awaited=(due(awaited=Awaited.END, seconds=5.0, attempt=1, worker="w1"),))
    store.await_again("s1", CHARGE, 2, 60.0)
    store.await_again("s1", CHARGE._replace(generation=2), 1, 60.0)
    assert row_of(store).awaited == Awaited.END
    store.await_again("s1", CHARGE, 1, 60.0)
    assert (row_of(store).awaited, row_of(store).worker) == (Awaited.START, "")
    assert (row_of(store).due_at - clock.time).total_seconds() == 60.0
    moved(store, state, awaited=(due(awaited=Awaited.REST, attempt=1),))
    store.await_again("s1", CHARGE, 1, 60.0)
    assert row_of(store).awaited == Awaited.REST


def test_a_nudge_is_forgotten_unless_a_later_transition_asked_for_it(store):
    state = started(store)
    moved(store, state, awaited=(due(NUDGE_SLOT, Awaited.NUDGE),))
    store.forget_nudge("s1", 0)
    assert row_of(store, step="") is not None
    store.forget_nudge("s1", 1)
    assert row_of(store, step="") is None


def test_rows_are_hastened_but_never_put_off(store, clock, waiting):
    store.hasten("s1", [CHARGE, Slot("nothing")], 2.0)
    assert (row_of(store).due_at - clock.time).total_seconds() == 2.0
    store.hasten("s1", [CHARGE], 9.0)
    assert (row_of(store).due_at - clock.time).total_seconds() == 2.0


def test_time_is_the_databases_own(another, store):
    """Its clock and not ours decides; what is due in an hour is not due, what was due before is."""
    real = another(clock=DatabaseClock())
    real.start([new("later")], nudge_after=3600.0)
    real.start([new("now")], nudge_after=-0.5)
    (row,) = real.overdue(10, 30.0)
    assert row.saga_id == "now"
    assert 0 <= row.age < 60
    assert real.queries.oldest_overdue() == 0.0
    created = real.queries.snapshot("now").saga.created_at
    assert created.utcoffset().total_seconds() == 0
    with real.connections.autocommit() as connection:
        epoch = {"postgresql": "extract(epoch FROM now())", "mysql": "UNIX_TIMESTAMP()", "sqlite": "unixepoch('now')"}
        now = connection.exec_driver_sql(f"SELECT {epoch[real.connections.dialect]}").scalar_one()
    assert created.timestamp() == pytest.approx(float(now), abs=60)


def test_nudges_in_vain_are_counted_from_the_first_one_on(store, clock):
    started(store)
    clock.turn(1000)
    assert store.unanswered("s1") == Unanswered(times=1, seconds=0.0)
    clock.turn(40)
    found = store.unanswered("s1")
    assert (found.times, found.seconds) == (2, pytest.approx(40.0, abs=0.01))
    store.postpone(next(row for row in store.overdue(10, 30.0) if row.slot == NUDGE_SLOT), 5.0, resent=True)
    clock.turn(60)
    assert store.unanswered("s1").seconds == pytest.approx(100.0, abs=0.01), "sending it again changes nothing"


def test_a_new_nudge_begins_its_count_anew_and_none_has_none(store):
    state = started(store)
    store.unanswered("s1")
    state = moved(store, state, awaited=(due(NUDGE_SLOT, Awaited.NUDGE),))
    assert store.unanswered("s1").times == 1
    moved(store, state, settled=(NUDGE_SLOT,))
    assert store.unanswered("s1") == Unanswered()
