"""Nudges of several sagas in one message; see `test_publishing` for how they are sent."""

from types import SimpleNamespace

import pytest
from celery.exceptions import Reject

from saga_celery.errors import StoreUnavailable
from saga_celery.settings import Settings
from saga_celery.transport import tasks


@pytest.fixture
def coordinator():
    """Fails at the sagas whose names are those of its failures."""

    def handle(saga_id, news):
        coordinator.asked.append(saga_id)
        if saga_id in coordinator.failures:
            raise coordinator.failures[saga_id]

    coordinator = SimpleNamespace(handle=handle, asked=[], failures={})
    return coordinator


@pytest.fixture
def desk(coordinator, monkeypatch):
    monkeypatch.setattr(tasks, "PATIENCE", 0.0)
    monkeypatch.setattr(tasks, "PAUSE", 0.0)
    celery = SimpleNamespace(current_worker_task=None)
    runtime = SimpleNamespace(celery=celery, settings=Settings(), has_store=True, coordinator=lambda **_: coordinator)
    return tasks.Desk(runtime)


def test_a_mistake_in_one_saga_is_told_and_the_others_are_nudged(desk, coordinator):
    coordinator.failures["a"] = ArithmeticError("a bug")
    with pytest.raises(ArithmeticError):
        desk.take_many(["a", 7, "b"])
    assert coordinator.asked == ["a", "b"]


def test_while_the_database_is_away_the_message_goes_back_as_a_whole(desk, coordinator):
    coordinator.failures["b"] = StoreUnavailable("away")
    with pytest.raises(Reject) as back:
        desk.take_many(["a", "b", "c"])
    assert back.value.requeue
    assert coordinator.asked == ["a", "b"]


def test_what_is_no_list_is_dropped(desk, coordinator):
    desk.take_many("abc")
    assert coordinator.asked == []
