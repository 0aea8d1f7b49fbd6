"""A small shop on SQLite, and a count of all rows of its saga database before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from celery import Celery
from celery.canvas import Signature
from click.testing import CliRunner, Result
from pydantic import BaseModel

from saga_celery import Saga, SagaApp, step
from saga_celery.cli import saga
from saga_celery.contrib.commands import Host
from saga_celery.definition import desk, registry
from saga_celery.store.migrate import migrate
from saga_celery.store.schema import metadata


class Order(BaseModel):
    sku: str
    cents: int
    note: str = ""


def define() -> type[Saga[Order]]:
    class OrderSaga(Saga[Order]):
        name = "bad_input.order"

        @step(no_compensation="a test")
        def charge(self, order: Order) -> Signature[str]:
            return self.task("charge", order.cents, key=self.key())

    return OrderSaga


@dataclass
class Shop:
    app: Celery
    sagas: SagaApp
    order_saga: type[Saga[Order]]

    def __call__(self, *arguments: str) -> Result:
        """`celery -A shop saga …`."""
        return CliRunner().invoke(saga, list(arguments), obj=Host(app=self.app))

    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        with self.sagas.store.connections.autocommit() as connection:
            return {
                table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                for table in metadata.sorted_tables
            }


@pytest.fixture
def unmigrated(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A shop whose database has no tables yet."""
    monkeypatch.setattr(registry, "_sagas", {})
    monkeypatch.setattr(desk, "_bound", [])
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.saga_database_url = sqlite_url
    made = Shop(app, SagaApp(app), define())
    yield made
    made.sagas.store.dispose()


@pytest.fixture
def shop(unmigrated: Shop) -> Shop:
    migrate(unmigrated.sagas.store.connections)
    unmigrated.order_saga.start(Order(sku="tea", cents=5), key="first")
    return unmigrated


@pytest.fixture
def unharmed(shop: Shop) -> Iterator[Shop]:
    """A shop whose saga database must be afterwards as it was before, and as good."""
    before = shop.rows()
    yield shop
    assert shop.rows() == before
    assert shop.order_saga.start(Order(sku="tea", cents=5), key="another").created
