"""A Django shop in the test process, on each database; nobody runs its sagas but the test's own hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from celery.canvas import Signature
from django.core.management import call_command
from django.db import connections, transaction
from pydantic import BaseModel

from saga_celery import Saga, SagaApp, SagaHandle, step, wait_for
from saga_celery.app import framework
from saga_celery.contrib.django.framework import DjangoFramework
from saga_celery.core import events as e
from saga_celery.definition import desk, registry
from saga_celery.store.schema import metadata
from tests.conftest import DATABASES, _available
from tests.django_process import configured, database_settings, databases

IMMEDIATE = {"transaction_mode": "IMMEDIATE"}


class Approval(BaseModel):
    ok: bool


def on(url: str, **more: Any) -> dict[str, Any]:
    """An entry of `DATABASES`, as the page has it."""
    options = {"OPTIONS": dict(IMMEDIATE)} if url.startswith("sqlite") else {}
    return database_settings(url, **{**options, **more})


@dataclass
class Shop:
    """What a test has in hand."""

    sagas: SagaApp
    order: Any
    """A saga of a step and a wait."""
    effect: Any
    """A model of the shop's own, in every alias."""
    nudged: list[str] = field(default_factory=list)

    @property
    def celery(self) -> Celery:
        return self.sagas.celery

    def effects(self, using: str = "default") -> list[str]:
        return [each.what for each in self.effect.objects.using(using).order_by("id")]

    def stored(self) -> list[str]:
        """The ids of all sagas that are committed: asked on a connection of the store's own."""
        return [row.id for row in self.sagas.store.queries.find()]

    def look(self, handle: SagaHandle[Any]) -> None:
        """A coordinator answers a nudge."""
        assert self.sagas.coordinator(parks_render_failures=True).handle(handle.id, e.Nudged()) is not None

    def under_way(self) -> SagaHandle[Any]:
        """A saga whose step is out."""
        handle: SagaHandle[Any] = self.order.start(7)
        self.look(handle)
        self.nudged.clear()
        return handle


def define() -> Any:
    class OrderSaga(Saga[int, int]):
        name = "shop.order"

        @step(idempotent=True)
        def reserve(self, number: int) -> Signature[int]:
            return self.task("stock.reserve", number)

        @reserve.compensate
        def release(self, number: int, reserve: int) -> Signature[None]:
            return self.task("stock.release", reserve)

        @wait_for(Approval, timeout=timedelta(days=2))
        def approve(self, number: int) -> Signature[None]:
            return self.task("mail.ask", number)

        def result(self, number: int, reserve: int) -> int:
            return reserve

    return OrderSaga


@contextmanager
def shop_on(monkeypatch: pytest.MonkeyPatch, **aliases: dict[str, Any]) -> Iterator[Shop]:
    """A shop whose `DATABASES` are these; their tables are there and empty."""
    effect = configured()
    monkeypatch.setattr(registry, "_sagas", {})
    monkeypatch.setattr(desk, "_bound", [])
    monkeypatch.setattr(framework, "_bound", [])
    with databases(**aliases):
        framework.bind_framework(DjangoFramework())
        app = Celery("shop", broker="memory://", set_as_current=False)
        shop = Shop(SagaApp(app), define(), effect)
        monkeypatch.setattr(shop.sagas.transport, "nudge", lambda ids, priority=None: shop.nudged.extend(ids))
        try:
            yield shop
        finally:
            shop.sagas.dispose()


def make_tables(alias: str) -> None:
    """By Django's own migrations; and that of the shop's model."""
    call_command("migrate", "saga_celery", database=alias, verbosity=0, skip_checks=True)
    with connections[alias].schema_editor() as editor:
        editor.create_model(configured())


def empty_tables(alias: str) -> None:
    """What the test before has left."""
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        for table in (*metadata.tables, "effect"):
            cursor.execute(f"DELETE FROM {table}")


@pytest.fixture(scope="session", params=_available(DATABASES))
def kept_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A migrated database of each kind that this run covers, kept for all tests: to make the tables takes a while."""
    with ExitStack() as exits:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('kept') / 'shop.db'}"
        else:
            server = {"postgresql": "postgres_server", "mariadb": "mariadb_server"}[request.param]
            url = exits.enter_context(request.getfixturevalue(server).database())
        with databases(default=on(url)):
            make_tables("default")
        yield url


@pytest.fixture(scope="session")
def kept_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same, a second file of SQLite's."""
    url = f"sqlite:///{tmp_path_factory.mktemp('kept') / 'other.db'}"
    with databases(default=on(url)):
        make_tables("default")
    return url


@pytest.fixture
def shop(kept_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with shop_on(monkeypatch, default=on(kept_url)) as made:
        empty_tables("default")
        yield made


@pytest.fixture
def two_databases(kept_url: str, kept_file: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """The sagas are in `default`; `other` is a file of SQLite's."""
    with shop_on(monkeypatch, default=on(kept_url), other=on(kept_file)) as made:
        empty_tables("default")
        empty_tables("other")
        yield made
