"""Order fulfilment as a saga: reserve the stock, take the money, ship, confirm."""

from __future__ import annotations

from typing import TypedDict

from celery.canvas import Signature
from pydantic import BaseModel, ConfigDict

from saga_celery import Retry, Saga, step


class Order(BaseModel):
    """The input of the saga; money in whole cents."""

    model_config = ConfigDict(frozen=True)

    id: int
    customer_id: str
    shipper_id: int
    cents: int
    lines: tuple[tuple[int, int], ...]
    """Product and quantity."""


class Reservation(TypedDict):
    """What the inventory answers."""

    reservation_id: int
    lines: list[tuple[int, int]]


class Charge(TypedDict):
    """What the payments service answers."""

    charge_id: int
    cents: int


class Shipment(TypedDict):
    """What the shipping service answers."""

    shipment_id: int


class Confirmation(TypedDict):
    """What the notifications service answers."""

    sent: bool


class OrderSaga(Saga[Order, int]):
    """Fulfil an order; the result is the id of its shipment."""

    name = "shop.order"

    @step(retry=Retry(attempts=5), fatal=["workers.inventory.OutOfStock", "workers.inventory.Discontinued"], timeout=30)
    def reserve(self, order: Order) -> Signature[Reservation]:
        """Take the units off the shelves."""
        return self.task("inventory.reserve", order_id=order.id, lines=order.lines, key=self.key())

    @reserve.compensate(retry=Retry(attempts=20))
    def release(self, order: Order, reserve: Reservation) -> Signature[None]:
        """Put them back."""
        return self.task("inventory.release", reservation_id=reserve["reservation_id"], key=self.key())

    @step(retry=Retry(attempts=5), fatal=["workers.payments.CreditLimitExceeded"], timeout=30)
    def pay(self, order: Order) -> Signature[Charge]:
        """Charge the customer."""
        return self.task(
            "payments.charge", customer_id=order.customer_id, order_id=order.id, cents=order.cents, key=self.key()
        )

    @pay.compensate(retry=Retry(attempts=20))
    def refund(self, order: Order, pay: Charge) -> Signature[None]:
        """Give the money back."""
        return self.task("payments.refund", charge_id=pay["charge_id"], key=self.key())

    @step(pivot=True, retry=Retry(attempts=10), fatal=["workers.shipping.NeverShipped"], timeout=30)
    def ship(self, order: Order) -> Signature[Shipment]:
        """Hand the order to the carrier: the point of no return."""
        return self.task("shipping.ship", order_id=order.id, shipper_id=order.shipper_id, key=self.key())

    @step(retry=Retry(attempts=20), timeout=30)
    def confirm(self, order: Order) -> Signature[Confirmation]:
        """Tell the customer."""
        return self.task("notifications.confirm", order_id=order.id, customer_id=order.customer_id, key=self.key())

    def result(self, order: Order, ship: Shipment) -> int:
        """The id of the shipment."""
        return ship["shipment_id"]
