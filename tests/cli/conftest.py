"""A shop with two sagas, its database in SQLite, and a clock that the tests turn."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from celery import Celery
from celery.canvas import Signature
from click.testing import CliRunner, Result
from pydantic import BaseModel

from saga_celery import Retry, Saga, SagaApp, step
from saga_celery.cli import saga
from saga_celery.contrib.commands import Host
from saga_celery.core import events as e
from saga_celery.core.states import Direction, Failure, SagaState, Slot
from saga_celery.definition import desk, registry
from saga_celery.store import SQLStore
from saga_celery.store.clock import FakeClock
from saga_celery.store.migrate import migrate

NOON = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


class Order(BaseModel):
    sku: str
    cents: int


def define() -> None:
    """Two sagas whose steps name tasks of other codebases."""

    class OrderSaga(Saga[Order, str]):
        name = "shop.order"

        @step(retry=Retry(attempts=5, delay=12, jitter=False), timeout=30)
        def charge(self, order: Order) -> Signature[str]:
            return self.task("card.charge", order.cents, key=self.key())

        @charge.compensate(retry=Retry(attempts=2))
        def refund(self, order: Order, charge: str) -> Signature[None]:
            return self.task("card.refund", charge, key=self.key())

        @step(no_compensation="only a message")
        def tell(self, order: Order) -> Signature[str]:
            return self.task("mail.tell", order.sku)

        def result(self, order: Order, tell: str) -> str:
            return tell

    class ParcelSaga(Saga[Order]):
        name = "shop.parcel"

        @step(pivot=True, idempotent=True, retry=Retry(attempts=1))
        def ship(self, order: Order) -> Signature[str]:
            return self.task("parcel.ship", order.sku)

        @step(idempotent=True, retry=Retry(attempts=1), no_compensation="behind the pivot")
        def label(self, order: Order) -> Signature[str]:
            return self.task("parcel.label", order.sku)


@dataclass
class Shop:
    """What a test has in hand."""

    app: Celery
    sagas: SagaApp
    clock: FakeClock

    def __call__(self, *args: str, input: str | None = None, **host: Any) -> Result:
        """Run a command as a script would."""
        host = {"app": self.app, **host}
        return CliRunner().invoke(saga, list(args), obj=Host(**host), input=input)

    def json(self, *args: str) -> list[dict[str, Any]]:
        """What a command says with --json."""
        result = self(*args, "--json")
        assert not result.exception or isinstance(result.exception, SystemExit), result.exception
        return [json.loads(line) for line in result.stdout.splitlines()]

    def start(self, name: str = "shop.order", **options: Any) -> str:
        """The id of a new saga."""
        return registry.find(name).start(Order(sku="tea", cents=5), **options).id

    def news(self, saga_id: str, *news: e.News) -> SagaState:
        """Report to the coordinator."""
        for each in news:
            handled = self.sagas.coordinator(parks_render_failures=True).handle(saga_id, each)
            assert handled is not None
        found = self.sagas.store.load(saga_id)
        assert found is not None
        return found

    def succeed(self, saga_id: str, name: str, result: Any, attempt: int = 1) -> SagaState:
        return self.news(saga_id, e.AttemptSucceeded(slot=Slot(name), attempt=attempt, result=result))

    def fail(self, saga_id: str, slot: Slot, attempt: int = 1) -> SagaState:
        failure = Failure(type="shop.Broken", message="no\nluck", traceback="Traceback: line 7", step=slot.step)
        return self.news(saga_id, e.AttemptFailed(slot=slot, attempt=attempt, failure=failure))

    def completed(self, **options: Any) -> str:
        saga_id = self.start(**options)
        self.news(saga_id, e.Nudged())
        self.succeed(saga_id, "charge", "c-1")
        self.succeed(saga_id, "tell", "told")
        return saga_id

    def in_doubt(self, **options: Any) -> str:
        """A saga whose step `tell` was lost and can neither be asked nor repeated."""
        saga_id = self.start(**options)
        self.news(saga_id, e.Nudged())
        self.succeed(saga_id, "charge", "c-1")
        self.news(saga_id, e.AttemptLost(slot=Slot("tell"), attempt=1, reason="worker w1 died"))
        return saga_id

    def exhausted(self, **options: Any) -> str:
        """A saga that failed for good behind its pivot."""
        saga_id = self.start("shop.parcel", **options)
        self.news(saga_id, e.Nudged())
        self.succeed(saga_id, "ship", "p-1")
        self.fail(saga_id, Slot("label"))
        return saga_id

    def undoing(self, **options: Any) -> str:
        """A saga that is being undone."""
        saga_id = self.start(**options)
        self.news(saga_id, e.Nudged())
        self.succeed(saga_id, "charge", "c-1")
        self.fail(saga_id, Slot("tell"))
        return saga_id

    def compensated(self, **options: Any) -> str:
        saga_id = self.undoing(**options)
        self.news(saga_id, e.AttemptSucceeded(slot=Slot("charge", 0, Direction.COMPENSATION), attempt=1))
        return saga_id


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_sagas", {})
    monkeypatch.setattr(desk, "_bound", [])


@pytest.fixture
def unmigrated(own_registry: None, sqlite_url: str) -> Iterator[Shop]:
    """A shop whose database has no tables yet."""
    define()
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.update(saga_database_url=sqlite_url, worker_prefetch_multiplier=1)
    clock = FakeClock(NOON)
    sagas = SagaApp(app)
    sagas._store = SQLStore(sqlite_url, chance=lambda: 0.5, clock=clock)
    yield Shop(app, sagas, clock)
    sagas.store.dispose()


@pytest.fixture
def shop(unmigrated: Shop) -> Shop:
    migrate(unmigrated.sagas.store.connections)
    return unmigrated


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Make the output look like a terminal's."""

    def pretend() -> None:
        monkeypatch.setattr("saga_celery.cli.screen._is_terminal", lambda: True)

    return pretend
