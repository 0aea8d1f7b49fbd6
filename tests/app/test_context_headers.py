"""The headers of the start travel with every message of a saga, whoever sends it and whenever."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from celery import Celery
from celery.canvas import Signature

from saga_celery import Retry, Saga, SagaApp, step
from saga_celery.core import events as e
from saga_celery.core.states import Direction, Failure, Slot
from saga_celery.definition import desk, registry
from saga_celery.engine.ports import Outgoing
from saga_celery.store import SQLStore
from saga_celery.store.clock import FakeClock
from saga_celery.store.migrate import migrate

DAY = 86_400.0
NOON = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
STORED = {"traceparent": "00-1", "correlation_id": "c-7"}
NO_LUCK = Failure(type="shop.Broken", message="no luck")


class Shop:
    """A saga that is moved by hand, and what it sends."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        class OrderSaga(Saga[int]):
            name = "shop.order"

            @step(retry=Retry(attempts=2))
            def reserve(self, count: int) -> list[Signature[str]]:
                return [self.task("stock.reserve", number, key=self.key(number)) for number in range(count)]

            @reserve.compensate
            def release(self, count: int, reserve: str) -> Signature[None]:
                return self.task("stock.release", reserve, key=self.key())

            @step(retry=Retry(attempts=1), no_compensation="nothing happens")
            def charge(self, count: int) -> Signature[str]:
                return self.task("card.charge", count, key=self.key())

        self.app = Celery("shop", broker="memory://", set_as_current=False)
        self.app.conf.saga_database_url = url
        self.sagas = SagaApp(self.app)
        self.clock = FakeClock(NOON)
        self.sagas._store = SQLStore(url, chance=lambda: 0.5, clock=self.clock)
        migrate(self.sagas.store.connections)
        self.sent: list[Outgoing] = []
        monkeypatch.setattr(self.sagas.transport, "send", self.sent.extend)
        monkeypatch.setattr(self.sagas.transport, "backlog", lambda message=None: 0)
        self.saga = OrderSaga

    def news(self, saga_id: str, *news: e.News) -> None:
        for each in news:
            self.sagas.coordinator(parks_render_failures=True).handle(saga_id, each)

    def sweep(self, seconds: float) -> None:
        self.clock.turn(seconds)
        self.sagas.sweeper().tick()


@pytest.fixture
def shop(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr(registry, "_sagas", {})
    monkeypatch.setattr(desk, "_bound", [])
    made = Shop(sqlite_url, monkeypatch)
    yield made
    made.sagas.store.dispose()


def test_items_retries_resends_and_compensations_carry_them(shop: Shop) -> None:
    first, second = (Slot("reserve", item) for item in (1, 2))
    saga_id = shop.saga.start(2, headers=STORED).id
    shop.news(saga_id, e.Nudged())
    shop.news(saga_id, e.AttemptFailed(slot=first, attempt=1, failure=NO_LUCK))
    shop.sweep(2 * DAY)
    shop.news(saga_id, e.AttemptSucceeded(slot=first, attempt=2, result="r-1"))
    shop.news(saga_id, e.AttemptSucceeded(slot=second, attempt=1, result="r-2"))
    shop.news(saga_id, e.AttemptFailed(slot=Slot("charge"), attempt=1, failure=NO_LUCK))

    kinds = {(each.slot.step, each.slot.item, each.slot.direction, each.attempt, each.resends) for each in shop.sent}
    assert kinds >= {
        ("reserve", 1, Direction.ACTION, 1, 0),
        ("reserve", 1, Direction.ACTION, 2, 0),
        ("reserve", 2, Direction.ACTION, 1, 1),
        ("charge", 0, Direction.ACTION, 1, 0),
        ("reserve", 1, Direction.COMPENSATION, 1, 0),
        ("reserve", 2, Direction.COMPENSATION, 1, 0),
    }
    assert [dict(each.headers) for each in shop.sent] == [STORED] * len(shop.sent)


def test_a_saga_that_a_task_starts_keeps_what_the_task_carries(shop: Shop) -> None:
    started: list[str] = []

    @shop.app.task(name="shop.begin", shared=False)
    def begin() -> None:
        started.append(shop.saga.start(1).id)

    begin.apply(headers={**STORED, "saga_id": "another", "secret": "x"})
    state: Any = shop.sagas.store.load(started[0])
    assert state.headers == STORED
