"""A shop whose sagas use all that a definition can hold. `SIGHTINGS` is what its probe would see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import NotRequired, TypedDict

from celery import Celery
from celery.canvas import Signature
from pydantic import BaseModel, Field

from saga_celery.definition import SKIP, Abort, Retry, Saga, Skip, parallel, sequence, step

app = Celery("shop", set_as_current=False)


class Line(BaseModel):
    sku: str
    price: float = 1.0


class Order(BaseModel):
    order_id: int
    cents: int
    lines: list[Line] = []
    nick: str = Field(default="", alias="nickName")


class Reservation(TypedDict):
    id: str
    warehouse: str
    note: NotRequired[str]


@dataclass
class Charge:
    id: str


class CardDeclined(Exception):
    pass


@app.task(name="shop.reserve_stock")
def reserve_stock(order_id: int, lines: list[Line]) -> Reservation:
    raise NotImplementedError


@app.task(name="shop.release_stock", bind=True)
def release_stock(self, reservation_id: str) -> None:
    raise NotImplementedError


class OrderSaga(Saga[Order, str]):
    name = "shop.order"
    timeout = timedelta(hours=1)

    @step(idempotent=True)
    def reserve(self, order: Order) -> Signature[Reservation]:
        return reserve_stock.si(order.order_id, order.lines)

    @reserve.compensate
    def release(self, order: Order, reserve: Reservation) -> Signature[None]:
        return release_stock.si(reserve["id"])

    @step(retry=Retry(attempts=5), fatal=["billing.CardDeclined", CardDeclined, ValueError], timeout=30)
    def charge(self, order: Order) -> Signature[Charge]:
        return self.task("billing.charge", cents=order.cents, key=self.key())

    @charge.compensate(retry=Retry(attempts=20), null_safe=True)
    def refund(self, order: Order, charge: Charge | None) -> Signature[None]:
        return self.task("billing.refund", charge_id=charge.id if charge else None, key=self.key())

    @charge.probe
    def find_charge(self, order: Order) -> Signature[Charge | None]:
        return self.task("billing.find", key=self.key_of("charge"))

    @step(no_compensation="asking harms nobody", queue_grace=timedelta(minutes=1))
    def approve(self, order: Order) -> Signature[bool] | Skip:
        return self.task("shop.ask", order.order_id) if order.cents > 1000 else SKIP

    @step(pivot=True, settle_delay=2.5)
    def ship(self, order: Order, reserve: Reservation, approve: bool | None) -> Signature[str]:
        if approve is False:
            raise Abort("refused by the boss")
        return self.task("shop.ship", reserve["warehouse"]).set(queue="ship", priority=3)

    with parallel():

        @step(idempotent=True)
        def receipt(self, order: Order, ship: str) -> Signature[None]:
            return self.task("shop.receipt", ship)

        with sequence():

            @step
            def points(self, order: Order) -> Signature[int]:
                return self.task("shop.points")

            @step
            def badge(self, order: Order, points: int) -> Signature[None]:
                return self.task("shop.badge", points)

    @step
    def close(self, order: Order) -> Signature[None]:
        return self.task("shop.close", self.saga_id)

    def result(self, order: Order, ship: str) -> str:
        return ship
