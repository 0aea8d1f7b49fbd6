"""What hooks are told is stored with the transition, and forgotten when they were told."""

from dataclasses import replace
from datetime import timedelta

import pytest

from saga_celery.core import events as e
from saga_celery.core.states import SagaStatus
from saga_celery.engine.ports import Delivery
from saga_celery.errors import StoreError
from tests.store.conftest import NOON
from tests.store.examples import change, started


def told(event_id="e1", **values):
    given = {"saga_id": "s1", "event": "saga_failed", "task": "ops.page", "payload": {"id": event_id}}
    return Delivery(**{"id": event_id, "seconds": 60.0, **given, **values})


def saved(store, *deliveries, **values):
    wanted = replace(change(started(store, "s1"), **values), deliveries=deliveries)
    assert store.save(wanted)
    return store.deliveries


def claimed(rows, clock, seconds=61.0):
    clock.turn(seconds)
    return list(rows.due(10, 30.0))


def open_ids(rows, **values):
    return [each.delivery.id for each in rows.open(**values)]


def test_it_is_stored_with_its_transition_and_comes_back_whole(store, clock):
    payload = {"id": "e1", "result": {"a": [1, None]}, "detail": 'quote " nul \x00 half \ud83d ß'}
    rows = saved(store, told(payload=payload, headers={"traceparent": "00-1"}))
    (found,) = claimed(rows, clock)
    assert found.payload == payload
    assert found.headers == {"traceparent": "00-1"}
    assert (found.id, found.saga_id, found.event, found.task) == ("e1", "s1", "saga_failed", "ops.page")
    assert (found.tries, found.age) == (1, pytest.approx(61.0, abs=0.01))


def test_several_in_one_transition(store):
    rows = saved(store, told("e1"), told("e2", task="crm.note"), told("e3", task=""))
    assert open_ids(rows) == ["e1", "e2", "e3"]


def test_a_transition_that_comes_second_tells_nothing(store):
    before = started(store)
    assert store.save(change(before))
    assert not store.save(replace(change(before), deliveries=(told(),)))
    assert open_ids(store.deliveries) == []


def test_one_that_can_not_be_stored_takes_its_transition_along(store):
    before = started(store)
    wanted = replace(change(before), deliveries=(told("same"), told("same")))
    with pytest.raises(StoreError):
        store.save(wanted)
    assert store.load("s1").version == 0
    assert store.queries.history("s1") == []


def test_the_end_of_the_saga_leaves_them_alone(store):
    rows = saved(store, told(), status=SagaStatus.COMPLETED, facts=[e.SagaCompleted()])
    assert open_ids(rows) == ["e1"]


def test_nothing_is_due_before_its_time_and_a_claim_lasts_for_its_lease(store, clock):
    rows = saved(store, told())
    assert claimed(rows, clock, 59.9) == []
    assert len(claimed(rows, clock, 0.2)) == 1
    assert claimed(rows, clock, 29.9) == []
    assert len(claimed(rows, clock, 0.2)) == 1


def test_the_longest_overdue_come_first_up_to_the_limit(store, clock):
    rows = saved(store, *(told(f"e{n}", seconds=float(n)) for n in (3, 1, 2)))
    clock.turn(10.0)
    assert {each.id for each in rows.due(2, 30.0)} == {"e1", "e2"}
    assert [each.id for each in rows.due(2, 30.0)] == ["e3"]


def test_a_row_that_is_locked_is_left_to_whoever_has_it(store, another, clock):
    if store.connections.dialect == "sqlite":
        pytest.skip("SQLite locks the database as a whole")
    rows = saved(store, told("e1"), told("e2"))
    clock.turn(61.0)
    with store.connections.transaction() as holder:
        assert len(rows._claim(holder, 1, 30.0)) == 1
        assert len(another().deliveries.due(10, 30.0)) == 1


def test_a_try_counts_and_an_outage_does_not(store, clock):
    rows = saved(store, told())
    (found,) = claimed(rows, clock)
    rows.postpone(found, 5.0, sent=False)
    (again,) = claimed(rows, clock, 5.1)
    assert again.tries == 1
    rows.postpone(again, 7.0, sent=True)
    assert claimed(rows, clock, 6.9) == []
    assert claimed(rows, clock, 0.2)[0].tries == 2


def test_whoever_is_late_changes_nothing(store, clock):
    rows = saved(store, told())
    (found,) = claimed(rows, clock)
    rows.postpone(found, 100.0, sent=True)
    rows.postpone(found, 1.0, sent=True)
    assert claimed(rows, clock, 99.0) == []
    rows.settle(["e1"])
    rows.postpone(found, 1.0, sent=True)
    assert open_ids(rows) == []


def test_settled_is_gone_and_settling_twice_is_harmless(store, clock):
    rows = saved(store, told("e1"), told("e2"))
    assert rows.settle(["e1"]) == 1
    assert rows.settle(["e1"]) == 0
    assert open_ids(rows) == ["e2"]


def test_given_up_is_kept_and_never_due(store, clock):
    rows = saved(store, told("e1"), told("e2"))
    (first, _) = claimed(rows, clock)
    rows.give_up(first)
    rows.postpone(first, 1.0, sent=True)
    assert [each.id for each in claimed(rows, clock, 1e6)] == ["e2"]
    assert open_ids(rows, given_up=True) == ["e1"]
    assert open_ids(rows, given_up=False) == ["e2"]


def test_a_person_may_begin_anew(store, clock):
    rows = saved(store, told())
    (found,) = claimed(rows, clock)
    rows.give_up(found)
    clock.turn(1000.0)
    assert rows.send_again(["e1", "gone"]) == 1
    (again,) = claimed(rows, clock, 1.0)
    assert (again.tries, again.age) == (0, pytest.approx(1.0, abs=0.01))


def test_hastened_comes_sooner_and_never_later(store, clock):
    rows = saved(store, told("e1"), told("e2", seconds=1.0))
    rows.hasten(["e1", "e2"], 5.0)
    assert [each.id for each in claimed(rows, clock, 1.5)] == ["e2"]
    assert [each.id for each in claimed(rows, clock, 4.0)] == ["e1"]


def test_others_take_the_place_of_one_as_often_as_that_is_said(store, clock):
    rows = saved(store, told("base", task=""))
    (found,) = claimed(rows, clock)
    for _ in range(2):
        rows.replace(found, [told("e1"), told("e2")])
    assert open_ids(rows) == ["e1", "e2"]
    rows.replace(found, [])
    assert open_ids(rows) == ["e1", "e2"]
    assert len(claimed(rows, clock)) == 2


def test_a_list_is_in_the_order_of_their_coming(store, clock):
    rows = saved(store, told("e2"))
    clock.turn(1.0)
    store.save(replace(change(store.load("s1")), deliveries=(told("e1", saga_id="s1"),)))
    assert open_ids(rows) == ["e2", "e1"]
    assert open_ids(rows, limit=1) == ["e2"]
    assert open_ids(rows, saga_id="s1") == ["e2", "e1"]
    assert open_ids(rows, saga_id="s2") == []
    first = rows.open()[0]
    assert (first.since, first.due_at) == (NOON, NOON + timedelta(seconds=60))
    assert rows.known(["e1", "e2", "e3"]) == {"e1", "e2"}


def test_labels_are_what_never_changes_and_the_time(store, clock):
    started(store, "s1", key="order-7", tags={"b": "2", "a": "1"})
    started(store, "s2")
    labels = store.deliveries.labels("s1")
    assert (labels.key, labels.tags, labels.now) == ("order-7", {"a": "1", "b": "2"}, NOON)
    bare = store.deliveries.labels("s2")
    assert (bare.key, bare.tags) == (None, {})


def test_by_the_databases_own_clock(another, store):
    """The other tests turn a clock; this is how it runs."""
    own = another(clock=None)
    rows = saved(own, told("now", seconds=0.0), told("later"))
    assert [each.id for each in rows.due(10, 30.0)] == ["now"]
    labels, (now_row, _) = rows.labels("s1"), sorted(rows.open(), key=lambda each: each.delivery.id != "now")
    assert abs((labels.now - now_row.since).total_seconds()) < 60
    rows.hasten(["later"], 0.0)
    assert [each.id for each in rows.due(10, 30.0)] == ["later"]


@pytest.fixture
def statements(store):
    """How many statements reach the database."""
    import sqlalchemy as sa

    seen = []
    sa.event.listen(
        store.connections.engine, "before_cursor_execute", lambda c, cur, statement, *rest: seen.append(statement)
    )
    return seen


def test_on_postgresql_it_is_one_statement_still_and_without_hooks_the_same_as_ever(store, statements):
    if store.connections.dialect != "postgresql":
        pytest.skip("the others store in a short transaction")
    before = started(store)
    statements.clear()
    assert store.save(change(before))
    assert store.save(replace(change(store.load("s1")), deliveries=(told(),)))
    plain, _, with_hooks = statements
    assert "saga_delivery" not in plain
    assert "saga_delivery" in with_hooks
