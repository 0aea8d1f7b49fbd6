"""Django's admin over the shop: people with and without permissions, and sagas in every state that matters there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from celery.canvas import Signature
from django.apps import apps
from django.core.management import call_command
from django.test import Client
from pydantic import BaseModel

from saga_celery import Retry, Saga, SagaHandle, parallel, step, wait_for
from saga_celery.contrib import console
from saga_celery.core import events as e
from saga_celery.core.states import Failure, Slot
from tests.contrib.django.conftest import Approval, Shop, on
from tests.django_process import configured, databases

LIST = "/admin/saga_celery/saga/"


class Order(BaseModel):
    sku: str
    card_number: str = "4111-1111"


def define() -> Any:
    class DeliverySaga(Saga[Order, str]):
        name = "shop.delivery"

        @step
        def reserve(self, order: Order) -> Signature[str]:
            return self.task("stock.reserve", order.sku, key=self.key())

        @reserve.compensate
        def release(self, order: Order, reserve: str) -> Signature[None]:
            return self.task("stock.release", reserve, key=self.key())

        with parallel():

            @step(retry=Retry(attempts=3, delay=60, jitter=False))
            def charge(self, order: Order) -> Signature[Any]:
                return self.task("card.charge", order.card_number, key=self.key())

            @charge.compensate
            def refund(self, order: Order, charge: Any) -> Signature[None]:
                return self.task("card.refund", charge, key=self.key())

            @step(no_compensation="it goes back with the goods")
            def pack(self, order: Order) -> Signature[str]:
                return self.task("parcel.pack", order.sku)

        @wait_for(Approval, timeout=timedelta(days=2))
        def approve(self, order: Order) -> None: ...

        @step(pivot=True, idempotent=True)
        def ship(self, order: Order, pack: str) -> Signature[str]:
            return self.task("parcel.ship", pack)

        def result(self, order: Order, ship: str) -> str:
            return ship

    return DeliverySaga


@dataclass
class Office:
    """What a test has in hand."""

    shop: Shop
    delivery: Any

    # ------------------------------------------------------------------------------------------------------- people

    def person(self, name: str, *permissions: str) -> Any:
        """Somebody of the staff."""
        person = apps.get_model("auth", "User").objects.create_user(name, password="open", is_staff=True)
        known = apps.get_model("auth", "Permission").objects
        person.user_permissions.set([known.get(codename=each) for each in permissions])
        return person

    def client(self, name: str, *permissions: str, **options: Any) -> Client:
        """The browser of somebody who is logged in."""
        client = Client(**options)
        client.force_login(self.person(name, *permissions))
        return client

    def viewer(self, **options: Any) -> Client:
        return self.client("vera", "view_saga", **options)

    def operator(self, **options: Any) -> Client:
        return self.client("olga", "view_saga", "operate_saga", **options)

    def dismiss(self) -> None:
        """Nobody is left."""
        apps.get_model("auth", "User").objects.all().delete()

    # -------------------------------------------------------------------------------------------------------- sagas

    def start(self, **options: Any) -> SagaHandle[Any]:
        handle: SagaHandle[Any] = self.delivery.start(Order(sku="tea"), **options)
        self.shop.look(handle)
        return handle

    def news(self, handle: SagaHandle[Any], *news: e.News) -> None:
        for each in news:
            assert self.shop.sagas.coordinator(parks_render_failures=True).handle(handle.id, each) is not None

    def succeed(self, handle: SagaHandle[Any], **results: Any) -> None:
        self.news(handle, *(e.AttemptSucceeded(slot=Slot(n), attempt=1, result=r) for n, r in results.items()))

    def resting(self, **options: Any) -> SagaHandle[Any]:
        """A saga whose charge has failed once."""
        handle = self.start(**options)
        self.succeed(handle, reserve="r-1")
        failure = Failure(type="shop.GatewayDown", message="no <b>luck</b>", traceback="line 7", step="charge")
        self.news(handle, e.AttemptFailed(slot=Slot("charge"), attempt=1, failure=failure))
        return handle

    def in_doubt(self, **options: Any) -> SagaHandle[Any]:
        """A saga whose parcel may have been packed."""
        handle = self.start(**options)
        self.succeed(handle, reserve="r-1", charge={"pin": "7423", "paid": 12})
        self.news(handle, e.AttemptLost(slot=Slot("pack"), attempt=1, reason="worker w1 died"))
        return handle

    def waiting(self, **options: Any) -> SagaHandle[Any]:
        """A saga that waits for an approval."""
        handle = self.start(**options)
        self.succeed(handle, reserve="r-1", charge="c-1", pack="p-1")
        return handle

    def record(self, handle: SagaHandle[Any]) -> dict[str, Any]:
        return console.saga(self.shop.sagas, handle.id)

    def version(self, handle: SagaHandle[Any]) -> int:
        return int(self.record(handle)["version"])


def page(handle: SagaHandle[Any]) -> str:
    return f"{LIST}{handle.id}/change/"


def listed(client: Client, **query: str) -> list[str]:
    """The ids of the sagas of a list, from top to bottom."""
    answer = client.get(LIST, query)
    assert answer.status_code == 200, answer.headers.get("Location")
    return re.findall(rf'href="{LIST}([0-9a-f-]{{36}})/change/', answer.content.decode())


@pytest.fixture(scope="session")
def admin_tables(kept_url: str) -> None:
    """Those of Django itself, beside those of the sagas."""
    with databases(default=on(kept_url)):
        call_command("migrate", database="default", verbosity=0, skip_checks=True)


@pytest.fixture
def office(admin_tables: None, shop: Shop) -> Iterator[Office]:
    configured()
    made = Office(shop, define())
    yield made
    made.dismiss()
