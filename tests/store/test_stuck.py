"""Who is stuck is found among the open waits; who was told of is told once, with what hooks are told."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
import sqlalchemy as sa

from saga_celery.core.states import SagaStatus, Slot
from saga_celery.engine.ports import Awaited, Delivery, Stuck, Trouble
from saga_celery.errors import StoreError
from saga_celery.store.clock import DatabaseClock
from saga_celery.store.queries import IN_VAIN
from saga_celery.store.schema import saga_awaited, saga_stuck
from tests.store.examples import CHARGE, due, moved, started

SWEEPERS = 4


def waiting(store, saga_id="s1", awaited=Awaited.START, **values):
    """A saga that waits for one thing, in 30 s."""
    state = started(store, saga_id)
    moved(store, state, status=SagaStatus.RUNNING, awaited=(due(awaited=awaited, attempt=2),))
    store.forget_nudge(saga_id, 1)
    if values:
        with store.connections.transaction() as connection:
            connection.execute(sa.update(saga_awaited).where(saga_awaited.c.saga_id == saga_id).values(**values))
    return saga_id


def troubles(store, *saga_ids, overdue=60.0):
    return {found.saga_id: (found.trouble, found.times) for found in store.stuck.still(saga_ids, overdue=overdue)}


def stuck(saga_id="s1", slot=CHARGE):
    return Stuck(saga_id=saga_id, slot=slot, attempt=2, trouble=Trouble.NOT_BEGUN, times=3)


def page(event_id):
    return Delivery(id=event_id, saga_id="s1", event="saga_stuck", task="ops.page", payload={"id": event_id})


def told(store):
    with store.connections.autocommit() as connection:
        return [tuple(row) for row in connection.execute(sa.select(saga_stuck).order_by(saga_stuck.c.saga_id))]


@pytest.mark.parametrize(
    ("awaited", "values", "found"),
    [
        (Awaited.START, {"resends": IN_VAIN}, (Trouble.NOT_BEGUN, IN_VAIN)),
        (Awaited.NUDGE, {"resends": IN_VAIN + 1}, (Trouble.UNANSWERED, IN_VAIN + 1)),
        (Awaited.NUDGE, {"resends": 9, "failures": IN_VAIN}, (Trouble.FAILING, IN_VAIN)),
        (Awaited.REST, {"failures": IN_VAIN}, (Trouble.FAILING, IN_VAIN)),
        (Awaited.START, {"resends": IN_VAIN - 1, "failures": IN_VAIN - 1}, None),
        (Awaited.END, {"resends": IN_VAIN}, None),
    ],
)
def test_a_wait_tells_what_the_trouble_is(store, awaited, values, found):
    waiting(store, awaited=awaited, **values)
    assert troubles(store, "s1", "nobody").get("s1") == found
    assert store.stuck.repeated(10) == (["s1"] if found else [])


def test_a_wait_that_is_long_overdue(store, clock):
    waiting(store)
    waiting(store, "s2")
    clock.turn(89)
    assert (store.stuck.overdue(60.0, 10), troubles(store, "s1")) == ([], {})
    clock.turn(2)
    assert sorted(store.stuck.overdue(60.0, 10)) == ["s1", "s2"]
    assert len(store.stuck.overdue(60.0, 1)) == 1
    (found,) = store.stuck.still(["s1"], overdue=60.0)
    assert (found.slot, found.attempt, found.trouble) == (CHARGE, 2, Trouble.OVERDUE)
    assert found.seconds == pytest.approx(61.0, abs=0.01)
    assert troubles(store, "s1", overdue=None) == {}


def test_the_databases_own_clock(another, store):
    real = another(clock=DatabaseClock())
    waiting(real)
    assert real.stuck.overdue(-40.0, 10) == ["s1"]
    assert real.stuck.overdue(60.0, 10) == []
    assert troubles(real, "s1", overdue=-40.0) == {"s1": (Trouble.OVERDUE, 0)}


def test_who_is_parked_or_suspended_is_not_stuck(store):
    for saga_id in ("s1", "s2", "s3"):
        waiting(store, saga_id, resends=IN_VAIN)
    moved(store, store.load("s1"), status=SagaStatus.FAILED)
    moved(store, store.load("s2"), suspended=True)
    assert set(troubles(store, "s1", "s2", "s3")) == {"s3"}


def test_who_was_told_of_is_told_no_more_until_he_moved(store):
    waiting(store, resends=IN_VAIN)
    waiting(store, "s2", resends=IN_VAIN)
    assert store.stuck.record(stuck(), [page("e1")])
    assert set(troubles(store, "s1", "s2")) == {"s2"}
    assert store.stuck.forget(overdue=60.0) == 0
    assert [(row[0], row[1], row[5]) for row in told(store)] == [("s1", "charge", "not_begun")]

    moved(store, store.load("s1"), awaited=(due(slot=Slot("charge")),))
    assert store.stuck.forget(overdue=60.0) == 1
    assert told(store) == []
    waiting_again = sa.update(saga_awaited).where(saga_awaited.c.saga_id == "s1").values(resends=IN_VAIN)
    with store.connections.transaction() as connection:
        connection.execute(waiting_again)
    assert set(troubles(store, "s1")) == {"s1"}
    assert store.stuck.record(stuck(), [page("e2")])
    assert len(store.deliveries.open()) == 2


def test_the_rows_of_sagas_that_ended_go_too(store):
    waiting(store, resends=IN_VAIN)
    store.stuck.record(stuck(), [])
    before = store.load("s1")
    ended = replace(before, status=SagaStatus.COMPLETED)
    moved(store, before, status=ended.status, settled=(CHARGE,))
    assert store.stuck.forget(overdue=60.0) == 1


def test_of_any_number_of_sweepers_one_tells(store, another):
    """Each of them has found the saga stuck, and comes with deliveries of its own."""
    waiting(store, resends=IN_VAIN)
    stores, together = [another() for _ in range(SWEEPERS)], Barrier(SWEEPERS)

    def tell(number):
        assert set(troubles(stores[number], "s1")) == {"s1"}
        together.wait(timeout=60)
        return stores[number].stuck.record(stuck(), [page(f"e{number}")])

    with ThreadPoolExecutor(SWEEPERS) as pool:
        answers = list(pool.map(tell, range(SWEEPERS)))
    assert sorted(answers) == [False] * (SWEEPERS - 1) + [True]
    assert [each.delivery.id for each in store.deliveries.open()] == [f"e{answers.index(True)}"]


def test_where_what_hooks_are_told_can_not_be_stored_nobody_was_told(store):
    waiting(store, resends=IN_VAIN)
    with pytest.raises(StoreError, match="refused"):
        store.stuck.record(stuck(), [replace(page("e1"), task=None)])
    assert told(store) == []
