"""Placing an order, and deciding on one: each in one transaction with what its saga is told."""

from __future__ import annotations

from django.db import transaction

from workers.shop.orders.models import Order, Product, Verdict
from workers.shop.orders.sagas import Decision, NewOrder, OrderSaga


class PriceChanged(Exception):
    """The customer saw another price."""


def place_order(*, product: Product, quantity: int, customer: str, card: str, seen_cents: int | None) -> Order:
    """Store an order and start its saga; both are there after the commit, or neither is.

    Args:
        product: what is bought.
        quantity: how many of it.
        customer: who buys.
        card: 16 digits.
        seen_cents: the price of one on the page that the customer saw; None: whatever it costs.

    Raises:
        PriceChanged: the price on the page is not that of the product; nothing was stored, and no saga started.
    """
    with transaction.atomic():
        product = Product.objects.get(pk=product.pk)
        order: Order = Order.objects.create(
            customer=customer, product=product, quantity=quantity, cents=quantity * product.cents
        )
        new = NewOrder(order=order.pk, product=product.pk, quantity=quantity, cents=order.cents, card=card)
        OrderSaga.start(new, key=order.key, tags={"order": order.pk, "customer": customer})
        # Later than it need be, on purpose: what is raised here takes the order and its saga back.
        if seen_cents not in (None, product.cents):
            raise PriceChanged(f"{product.name} costs {product.price} now")
    return order


def decide(order: Order, *, ok: bool, by: str) -> Verdict:
    """Store what a member of staff says, and tell the saga that waits for it. The first verdict stands.

    Args:
        order: the one that waits.
        ok: whether it may go on.
        by: who says so.

    Raises:
        Refused: the saga has ended; nothing was stored.
    """
    with transaction.atomic():
        verdict: Verdict
        verdict, is_new = Verdict.objects.get_or_create(order=order, defaults={"ok": ok, "by": by})
        if is_new:
            saga = OrderSaga.get(order.key)
            OrderSaga.approve.send(saga.id, Decision(ok=ok, by=by), event_id="verdict", actor=by)
    return verdict
