"""What metrics are made of, on every database."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from saga_celery.core import events as e
from saga_celery.core.states import SagaStatus, Slot
from saga_celery.engine.ports import Awaited
from saga_celery.errors import StoreUnavailable
from saga_celery.store.snapshots import snapshot
from tests.store.conftest import NOON
from tests.store.examples import change, due, moved, started

SLOW = {
    "postgresql": "SELECT pg_sleep(60)",
    "mysql": "SELECT sleep(60)",
    "sqlite": "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
}


def end(store, saga_id, status=SagaStatus.COMPLETED):
    assert store.save(change(started(store, saga_id), [e.SagaStarted(), e.SagaCompleted()], status=status))


def test_a_statement_that_takes_too_long_is_ended_and_the_next_one_works(store):
    def too_slow():
        with snapshot(store.connections, 0.2) as connection:
            connection.exec_driver_sql(SLOW[store.connections.dialect])

    with pytest.raises(StoreUnavailable):
        too_slow()
    with snapshot(store.connections, 60.0) as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar_one() == 1


def test_all_is_of_one_moment_and_writers_do_not_wait(store, another):
    end(store, "s1")
    other = another()
    with store.metering.look(60.0) as look:
        assert look.started() == {"shop.order": 1}
        end(other, "s2")
        assert look.started() == {"shop.order": 1}
        assert [each.count for each in look.ended([1.0])] == [1]
    with store.metering.look(60.0) as look:
        assert look.started() == {"shop.order": 2}


def test_what_has_ended_what_is_open_and_what_it_went_through(store, clock):
    for number, seconds in enumerate((0, 10, 10, 11, 3600)):
        state = started(store, f"s{number}")
        clock.turn(seconds)
        status = SagaStatus.COMPENSATED if seconds == 11 else SagaStatus.COMPLETED
        store.save(change(state, [e.SagaStarted()], status=status))
    state = started(store, "open")
    for number in range(3):
        facts = [e.SagaOverdue(), e.StepDispatched(slot=Slot("charge"), attempt=number + 1)]
        state = moved(store, state, facts)
    with store.metering.look(60.0) as look:
        ended = {(each.status, each.place): (each.count, round(each.seconds, 3)) for each in look.ended([1.0, 10.0005])}
        assert [(each.id, each.version, each.began) for each in look.open()] == [("open", 3, clock.time)]
        assert [each.id for each in look.done_since(NOON + timedelta(seconds=30))] == ["s4"]
        statuses = {each.id: each.status for each in look.standings(["s0", "open", "none"])}
        transitions = look.transitions({"open": 1, "s4": 0, "s0": 1, "none": 0}, [e.StepDispatched])
    assert ended == {
        (SagaStatus.COMPLETED, 0): (1, 0.0),
        (SagaStatus.COMPLETED, 1): (2, 20.0),
        (SagaStatus.COMPLETED, 2): (1, 3600.0),
        (SagaStatus.COMPENSATED, 2): (1, 11.0),
    }
    assert statuses == {"s0": SagaStatus.COMPLETED, "open": SagaStatus.PENDING}
    told = [(each.saga_id, each.version, each.at, [fact.attempt for fact in each.facts]) for each in transitions]
    assert sorted(told) == [("open", 2, clock.time, [2]), ("open", 3, clock.time, [3]), ("s4", 1, clock.time, [])]


def test_what_waits_and_what_is_stuck(store, clock):
    for number, awaited in enumerate((Awaited.START, Awaited.START, Awaited.END)):
        state = started(store, f"s{number}")
        wait = due(Slot("charge"), awaited=awaited, seconds=30.0 + number)
        assert store.save(change(state, status=SagaStatus.RUNNING, awaited=(wait,)))
        clock.turn(10)
    started(store, "s3")
    with store.metering.look(60.0) as look:
        heaps = {awaited: (heap.count, heap.since) for awaited, heap in look.awaited().items()}
        assert heaps[Awaited.START] == (2, NOON)
        assert heaps[Awaited.END] == (1, NOON + timedelta(seconds=20))
        assert look.overdue() == pytest.approx(20.0)  # nudges, due after 10 s
        assert look.stuck() == {}
    clock.turn(100)
    with store.metering.look(60.0) as look:
        assert sum(look.stuck().values()) == store.queries.count(stuck=True) == 4
        assert look.overdue() == pytest.approx(store.queries.oldest_overdue())
