"""Start the order sagas: the demo's only word to saga_celery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workers import catalogue
from workers.reconcile.books import KEY_PREFIX

if TYPE_CHECKING:
    from workers.orders import Order

BATCH = 50
"""Sagas that are started in one transaction."""


def start_orders(orders: Sequence[catalogue.Order]) -> None:
    """Start one saga for each order, under a key that makes a second start harmless."""
    # Imported only here: the application reads the environment, which the demo sets first.
    from saga_celery import StartItem
    from workers.coordinator import app
    from workers.orders import OrderSaga

    app.set_default()
    for first in range(0, len(orders), BATCH):
        some = orders[first : first + BATCH]
        OrderSaga.start_many(StartItem(_sold(order), key=f"{KEY_PREFIX}{order.id}") for order in some)


def _sold(order: catalogue.Order) -> Order:
    from workers.orders import Order

    return Order(
        id=order.id,
        customer_id=order.customer_id,
        shipper_id=order.shipper_id,
        cents=order.total_cents,
        lines=tuple((line.product_id, line.quantity) for line in order.lines),
    )
