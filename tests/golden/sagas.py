"""The saga classes of the golden histories, and what their tasks return. They stay as they are: they are the users."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from celery.canvas import Signature

from saga_celery import SKIP, Child, Retry, Saga, Skip, parallel, sequence, sleep, step, wait_for


@dataclass
class Order:
    sku: str
    cents: int


@dataclass
class Charge:
    id: str


class OrderSaga(Saga[Order, str]):
    name = "golden.order"
    timeout = timedelta(hours=1)

    @step
    def reserve(self, order: Order) -> Signature[str]:
        return self.task("stock.reserve", order.sku, key=self.key())

    @reserve.compensate(retry=Retry(attempts=2, delay=3, jitter=False))
    def release(self, order: Order, reserve: str) -> Signature[None]:
        return self.task("stock.release", reserve, key=self.key())

    @step(retry=Retry(attempts=2), fatal=["CardDeclined"])
    def charge(self, order: Order) -> Signature[Charge]:
        return self.task("card.charge", cents=order.cents, key=self.key()).set(queue="cards", priority=3)

    @charge.compensate(null_safe=True, retry=Retry(attempts=1))
    def refund(self, order: Order, charge: Charge | None) -> Signature[None] | Skip:
        if order.sku == "gift":
            return SKIP
        return self.task("card.refund", charge.id if charge else None, key=self.key())

    @charge.probe
    def find_charge(self, order: Order) -> Signature[Charge | None]:
        return self.task("card.find", key=self.key_of("charge"))

    @step(no_compensation="asking harms nobody")
    def approve(self, order: Order) -> Signature[bool] | Skip:
        return self.task("boss.ask", order.cents) if order.cents > 1000 else SKIP

    @step(pivot=True, idempotent=True, retry=Retry(attempts=2), settle_delay=2)
    def ship(self, order: Order, reserve: str, approve: bool | None) -> Signature[str]:
        return self.task("parcel.ship", reserve)

    @step(idempotent=True, retry=Retry(attempts=1))
    def label(self, order: Order, ship: str) -> Signature[str]:
        if order.sku == "ghost":
            raise LookupError("nobody prints labels for ghosts")
        return self.task("parcel.label", ship)

    def result(self, order: Order, ship: str, label: str | None) -> str:
        return f"{ship} {label}"


class TripSaga(Saga[str, str]):
    name = "golden.trip"

    with parallel():

        @step
        def hotel(self, city: str) -> Signature[str]:
            return self.task("hotel.book", city, key=self.key())

        @hotel.compensate
        def leave_hotel(self, city: str, hotel: str) -> Signature[None]:
            return self.task("hotel.leave", hotel, key=self.key())

        with sequence():

            @step
            def car(self, city: str) -> Signature[str]:
                return self.task("car.book", city, key=self.key())

            @car.compensate
            def leave_car(self, city: str, car: str) -> Signature[None]:
                return self.task("car.leave", car, key=self.key())

            @step(no_compensation="it ends by itself")
            def insurance(self, city: str, car: str) -> Signature[None]:
                return self.task("car.insure", car, key=self.key())

    @step
    def pay(self, city: str) -> Signature[str]:
        return self.task("bank.pay", city)

    @pay.compensate
    def take_back(self, city: str, pay: str) -> Signature[None]:
        return self.task("bank.take_back", pay)

    @step(no_compensation="only a message")
    def tell(self, city: str) -> Signature[None]:
        return self.task("mail.tell", city)

    def result(self, city: str, hotel: str, pay: str) -> str:
        return f"{hotel} {pay}"


class BasketSaga(Saga[list[str], str]):
    name = "golden.basket"

    @step(limit=2, retry=Retry(attempts=2), fatal=["shop.Broken"])
    def pick(self, skus: list[str]) -> list[Signature[str]]:
        return [self.task("stock.pick", sku, key=self.key(sku)) for sku in skus]

    @pick.compensate
    def put_back(self, skus: list[str], pick: str) -> Signature[None]:
        return self.task("stock.put_back", pick, key=self.key())

    @step(pivot=True, idempotent=True)
    def ship(self, skus: list[str], pick: list[str]) -> Signature[str]:
        return self.task("parcel.ship", pick)

    def result(self, skus: list[str], ship: str) -> str:
        return ship


class DepositSaga(Saga[int, str]):
    name = "golden.deposit"

    @step
    def take(self, cents: int) -> Signature[str]:
        return self.task("bank.pay", cents, key=self.key())

    @take.compensate
    def give_back(self, cents: int, take: str) -> Signature[None]:
        return self.task("bank.take_back", take, key=self.key())

    def result(self, cents: int, take: str) -> str:
        return f"deposit {take}"


class RentalSaga(Saga[int, str]):
    name = "golden.rental"

    @wait_for(bool, timeout=timedelta(minutes=10), skippable=True)
    def approve(self, cents: int) -> Signature[None] | None:
        return self.task("boss.ask", cents, key=self.key()) if cents > 1000 else None

    cool_off = sleep(timedelta(minutes=5))

    @step
    def deposit(self, cents: int, approve: bool | None) -> Child[str]:
        return DepositSaga.si(cents)

    @step(no_compensation="only a message")
    def tell(self, cents: int, deposit: str) -> Signature[None]:
        return self.task("mail.tell", deposit)

    def result(self, cents: int, approve: bool | None, deposit: str) -> str:
        return f"{approve} {deposit}"


RESULTS: dict[str, Any] = {
    "stock.pick": "shelf 7",
    "stock.reserve": "shelf 7",
    "card.charge": {"id": "c-1"},
    "card.find": {"id": "c-1"},
    "boss.ask": True,
    "parcel.ship": "parcel 1",
    "parcel.label": "label 1",
    "hotel.book": "room 12",
    "car.book": "car 3",
    "bank.pay": "p-1",
}
"""By name of the task; all others return nothing."""
