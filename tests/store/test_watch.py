"""The watch that is set by the database's clock."""

from datetime import UTC, datetime, timedelta

import pytest

from saga_celery.errors import StoreUnavailable
from saga_celery.store import SQLStore
from saga_celery.store.watch import SET_EVERY, Watch

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class World:
    """Two clocks that a test turns: the database's, and this machine's count of seconds."""

    def __init__(self) -> None:
        self.database = NOON
        self.seconds = 1000.0
        self.asked = 0
        self.up = True
        self.watch = Watch(self.ask, lambda: self.seconds)

    def ask(self) -> datetime:
        if not self.up:
            raise StoreUnavailable("down")
        self.asked += 1
        return self.database


def test_it_asks_once_and_then_counts() -> None:
    world = World()
    assert world.watch.time() == NOON
    world.seconds += SET_EVERY
    assert world.watch.time() == NOON + timedelta(seconds=SET_EVERY)
    assert world.asked == 1


def test_it_is_set_anew_after_a_while() -> None:
    world = World()
    world.watch.time()
    world.seconds += SET_EVERY + 1
    world.database = NOON + timedelta(hours=8)
    assert world.watch.time() == NOON + timedelta(hours=8)


def test_a_database_that_does_not_answer_gives_no_time() -> None:
    world = World()
    world.up = False
    with pytest.raises(StoreUnavailable):
        world.watch.time()
    world.up = True
    assert world.watch.time() == NOON


def test_each_database_tells_its_time(database_url: str) -> None:
    store = SQLStore(database_url, chance=lambda: 0.5)
    first, second = store.watch.time(), store.watch.time()
    store.dispose()
    assert first.tzinfo is not None
    assert abs(first - datetime.now(UTC)) < timedelta(hours=1)  # noqa: TID251 - is it the time at all?
    assert timedelta(0) <= second - first < timedelta(minutes=1)
