"""How many sagas there are, and what they are called."""

import pytest

from saga_celery.core.states import SagaStatus
from saga_celery.store import tallies
from saga_celery.store.tallies import Tally
from tests.store.examples import moved, new


@pytest.fixture
def some(store):
    """Seven sagas of two names: three open, four ended."""
    store.start([new(f"order{number}") for number in range(5)], nudge_after=1000.0)
    store.start([new(f"trip{number}", name="travel.trip") for number in range(2)], nudge_after=1000.0)
    for saga_id in ("order0", "order1", "trip0"):
        moved(store, store.load(saga_id), status=SagaStatus.COMPLETED)
    moved(store, store.load("order2"), status=SagaStatus.COMPENSATED)
    moved(store, store.load("order3"), status=SagaStatus.FAILED)


def test_by_state(store, some):
    assert store.tallies.by_state() == {
        SagaStatus.PENDING: Tally(count=2),
        SagaStatus.COMPLETED: Tally(count=3),
        SagaStatus.COMPENSATED: Tally(count=1),
        SagaStatus.FAILED: Tally(count=1),
    }
    assert store.tallies.by_state(name="travel.trip") == {
        SagaStatus.PENDING: Tally(count=1),
        SagaStatus.COMPLETED: Tally(count=1),
    }
    assert store.tallies.by_state(name="nobody") == {}


def test_what_has_ended_is_counted_up_to_a_bound(store, some, monkeypatch):
    monkeypatch.setattr(tallies, "MOST_ENDED", 2)
    found = store.tallies.by_state()
    assert found[SagaStatus.COMPLETED] == Tally(count=2, more=True)
    assert found[SagaStatus.COMPENSATED] == Tally(count=1)
    assert found[SagaStatus.PENDING] == Tally(count=2)
    of_one = store.tallies.by_state(name="shop.order")
    assert of_one[SagaStatus.COMPLETED] == Tally(count=2, more=True)
    assert of_one[SagaStatus.COMPENSATED] == Tally(count=1, more=True)
    monkeypatch.setattr(tallies, "MOST_ENDED", 1)
    assert store.tallies.by_state(name="travel.trip")[SagaStatus.COMPLETED] == Tally(count=1)


def test_names(store, some):
    assert store.tallies.names() == ["shop.order", "travel.trip"]
    assert store.tallies.names(1) == ["shop.order"]


def test_no_saga_has_no_name(store):
    assert store.tallies.names() == []
    assert store.tallies.by_state() == {}
