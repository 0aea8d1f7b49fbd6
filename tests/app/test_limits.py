"""Locks, limits, priorities and times through the public API, on every database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from saga_celery import Locked, Resolution, SagaCompensated, SagaStatus, StartItem
from saga_celery.core import events as e
from saga_celery.engine.admission import WaitsFor
from saga_celery.store.clock import FakeClock
from saga_celery.store.sql_store import SQLStore

NOON = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
MORE = timedelta(hours=1)


@pytest.fixture
def clock(errands):
    """Turned by the test."""
    made = FakeClock(NOON)
    url = errands.sagas.settings.database_url
    errands.sagas.store.dispose()
    errands.sagas._store = SQLStore(url, chance=lambda: 0.5, clock=made)
    return made


@pytest.fixture
def limited(errands, monkeypatch):
    monkeypatch.setattr(errands.saga, "_definition", replace(errands.saga.definition(), max_running=2))


def in_turn(errands, clock, count, **options):
    """Sagas that want the same lock."""
    for number in range(count):
        clock.turn(1)
        yield errands.saga.start(number, lock="order-7", **options)


def states(*handles):
    return [handle.state for handle in handles]


PENDING, RUNNING = SagaStatus.PENDING, SagaStatus.RUNNING


def test_one_saga_of_a_lock_is_open_at_a_time(errands, clock):
    first, second, third = in_turn(errands, clock, 3)
    for handle in (third, second, first):
        errands.news(handle, e.Nudged())
    assert states(first, second, third) == [RUNNING, PENDING, PENDING]
    errands.complete(first)
    errands.news(second, e.Nudged())
    assert states(first, second, third) == [SagaStatus.COMPLETED, RUNNING, PENDING]


def test_a_snapshot_says_what_a_saga_waits_for(errands, clock):
    first, second, third = in_turn(errands, clock, 3)
    assert first.snapshot().standing.waits_for is WaitsFor.TURN
    errands.news(first, e.Nudged())
    assert first.snapshot().standing is None
    assert first.snapshot().lock == "order-7"
    found = third.snapshot().standing
    assert (found.waits_for, found.behind, found.behind_state, found.position) == (
        WaitsFor.LOCK, first.id, RUNNING, 2,
    )  # fmt: skip
    later = errands.saga.start(4, delay=MORE).snapshot().standing
    assert (later.waits_for, later.starts_at) == (WaitsFor.TIME, clock.time + MORE)
    assert second.snapshot().standing.position == 1


def test_who_waits_for_a_person_keeps_the_lock_until_that_person_settles_it(errands, clock):
    first, second = in_turn(errands, clock, 2)
    errands.news(first, e.Nudged())
    errands.lose(first)
    errands.news(second, e.Nudged())
    assert states(first, second) == [SagaStatus.FAILED, PENDING]
    assert second.snapshot().standing.behind_state is SagaStatus.FAILED
    first.resolve(resolution=Resolution.DONE, result=7, reason="looked it up")
    errands.news(first, e.Nudged())
    errands.news(second, e.Nudged())
    assert states(first, second) == [SagaStatus.COMPLETED, RUNNING]


def test_no_more_than_the_limit_are_under_way(errands, clock, limited):
    handles = errands.saga.start_many(range(3))
    for handle in handles:
        errands.news(handle, e.Nudged())
    assert states(*handles) == [RUNNING, RUNNING, PENDING]
    found = handles[2].snapshot().standing
    assert (found.waits_for, found.limit, found.position) == (WaitsFor.PLACE, 2, 1)
    errands.lose(handles[0])
    errands.news(handles[2], e.Nudged())
    assert states(*handles) == [SagaStatus.FAILED, RUNNING, RUNNING]


def test_a_scheduled_saga_begins_when_its_time_has_come(errands, clock):
    at, delayed = errands.saga.start(1, at=NOON + MORE), errands.saga.start(2, delay=MORE)
    sweeper = errands.sagas.sweeper()
    for handle in (at, delayed):
        errands.news(handle, e.Nudged())  # a stray message begins nothing
    clock.turn(3599)
    assert sweeper.tick().found == 0
    assert states(at, delayed) == [PENDING, PENDING]
    clock.turn(1)
    assert sweeper.tick().found == 2
    assert states(at, delayed) == [RUNNING, RUNNING]


def test_a_scheduled_or_queued_saga_can_be_cancelled_and_frees_its_place(errands, clock):
    first, second, third = in_turn(errands, clock, 3)
    later = errands.saga.start(4, delay=MORE, timeout=timedelta(minutes=1))
    for handle in (first, second):
        errands.news(handle, e.Nudged())
    assert second.cancel(reason="changed my mind") is SagaStatus.COMPENSATED
    assert later.cancel(reason="changed my mind") is SagaStatus.COMPENSATED
    errands.complete(first)
    errands.news(third, e.Nudged())
    assert states(first, second, third) == [SagaStatus.COMPLETED, SagaStatus.COMPENSATED, RUNNING]
    clock.turn(10_000_000_000)
    assert [row.saga_id for row in errands.sagas.store.overdue(10, 1.0)] == [third.id]
    with pytest.raises(SagaCompensated, match="changed my mind"):
        later.result(timeout=0)


def test_the_time_of_a_saga_counts_from_when_it_may_begin(errands, clock):
    first, second = in_turn(errands, clock, 2, timeout=timedelta(minutes=1))
    errands.news(first, e.Nudged())
    errands.lose(first)
    clock.turn(3600)
    sweeper = errands.sagas.sweeper()
    sweeper.tick()
    assert states(second) == [PENDING]
    first.resolve(resolution=Resolution.DONE, result=7, reason="looked it up")
    errands.news(first, e.Nudged())
    clock.turn(59)
    sweeper.tick()
    assert second.snapshot().turn is None
    clock.turn(2)
    sweeper.tick()
    assert second.snapshot().turn.kind == "deadline"


def test_one_that_is_not_to_wait_is_refused_and_says_by_whom(errands, clock):
    first = errands.saga.start(1, lock="order-7")
    with pytest.raises(Locked) as caught:
        errands.saga.start(2, lock="order-7", if_locked="raise")
    assert (caught.value.lock, caught.value.holder) == ("order-7", first.id)
    errands.news(first, e.Nudged())
    errands.complete(first)
    assert errands.saga.start(2, lock="order-7", if_locked="raise").created


def test_two_that_did_not_see_each_other_never_hold_a_lock_both(errands, clock):
    """Each in a transaction of its own that is still open when the other one starts."""
    engine = errands.sagas.store.connections.engine
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time, so one of them sees the other")
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as one:
        with engine.connect().execution_options(isolation_level="READ COMMITTED") as other:
            first = errands.saga.start(1, lock="order-7", if_locked="raise", connection=one)
            second = errands.saga.start(2, lock="order-7", if_locked="raise", connection=other)
            other.commit()
        one.commit()
    errands.news(first, e.Nudged())
    errands.news(second, e.Nudged())
    assert states(first, second) == [RUNNING, SagaStatus.COMPENSATED]
    with pytest.raises(SagaCompensated, match=f"its lock is held by saga {first.id}"):
        second.result(timeout=0)


def test_each_of_many_has_terms_of_its_own(errands, clock):
    items = [StartItem(1, lock="a"), StartItem(2, lock="a"), StartItem(3, lock="b", priority=7), 4]
    handles = errands.saga.start_many(items)
    for handle in handles:
        errands.news(handle, e.Nudged())
    assert states(*handles) == [RUNNING, PENDING, RUNNING, RUNNING]
    assert errands.sagas.store.load(handles[2].id).priority == 7
