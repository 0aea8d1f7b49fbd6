"""The steps' tasks. Each writes behind a barrier over Django's connection, so that a copy of it changes nothing."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.db import connection
from django.db.models import F

from saga_celery import barrier
from workers.shop.orders.models import Charge, Order, Product
from workers.shop.orders.pace import unhurried

NO_FUNDS = "0002"
"""How the numbers of cards end that are declined."""


class OutOfStock(Exception):
    """Others were quicker."""


class CardDeclined(Exception):
    """The bank said no."""


@shared_task(name="orders.reserve")
@unhurried
@barrier(connection, fatal=(OutOfStock,))
def reserve_stock(_: Any, product: int, quantity: int) -> int:
    """Take so many off the shelf, or none at all."""
    enough = Product.objects.filter(pk=product, in_stock__gte=quantity)
    if not enough.update(in_stock=F("in_stock") - quantity):
        raise OutOfStock(f"fewer than {quantity} in stock")
    return quantity


@shared_task(name="orders.release")
@unhurried
@barrier(connection)
def release_stock(_: Any, product: int, quantity: int) -> None:
    """Put them back."""
    Product.objects.filter(pk=product).update(in_stock=F("in_stock") + quantity)


@shared_task(name="orders.charge")
@unhurried
@barrier(connection, fatal=(CardDeclined,))
def charge_card(_: Any, order: int, cents: int, card: str) -> int:
    """Take the money: a row here, where a real shop would call its payment provider with the step's key."""
    if card.endswith(NO_FUNDS):
        raise CardDeclined(f"the card ending in {NO_FUNDS} was declined")
    return int(Charge.objects.create(order_id=order, cents=cents, card_ending=card[-4:]).pk)


@shared_task(name="orders.refund")
@unhurried
@barrier(connection)
def refund_card(_: Any, charge: int) -> None:
    """Give it back."""
    Charge.objects.filter(pk=charge).update(refunded=True)


@shared_task(name="orders.ship")
@unhurried
@barrier(connection)
def ship_parcel(_: Any, order: int) -> str:
    """Hand it to the carrier."""
    parcel = f"parcel-{order}"
    Order.objects.filter(pk=order).update(parcel=parcel)
    return parcel
