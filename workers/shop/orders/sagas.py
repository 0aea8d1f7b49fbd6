"""The saga of an order: take it off the shelf, ask where it is dear, take the money, ship."""

from __future__ import annotations

from datetime import timedelta

from celery.canvas import Signature
from django.conf import settings
from pydantic import BaseModel

from saga_celery import SKIP, Abort, Retry, Saga, Skip, step, wait_for
from workers.shop.orders import tasks


class NewOrder(BaseModel):
    """The input; money in whole cents. A field called `card` is shown as *** wherever a saga is shown."""

    order: int
    product: int
    quantity: int
    cents: int
    card: str


class Decision(BaseModel):
    """What a member of staff says."""

    ok: bool
    by: str


class OrderSaga(Saga[NewOrder, str]):
    """Fulfil an order; the result is the name of its parcel."""

    name = "shop.order"

    @step(idempotent=True, retry=Retry(attempts=5), fatal=[tasks.OutOfStock], timeout=60)
    def reserve(self, new: NewOrder) -> Signature[int]:
        """Take the goods off the shelf."""
        return tasks.reserve_stock.si(new.product, new.quantity)

    @reserve.compensate
    def release(self, new: NewOrder, reserve: int) -> Signature[None]:
        """Put back what was taken."""
        return tasks.release_stock.si(new.product, reserve)

    @wait_for(Decision, timeout=timedelta(days=2))
    def approve(self, new: NewOrder) -> Skip | None:
        """Wait for a member of staff where the order is dear."""
        return None if new.cents > settings.SHOP_APPROVAL_ABOVE else SKIP

    @step(idempotent=True, retry=Retry(attempts=5), fatal=[tasks.CardDeclined], timeout=60)
    def charge(self, new: NewOrder, approve: Decision | None) -> Signature[int]:
        """Take the money, unless somebody said no."""
        if approve and not approve.ok:
            raise Abort(f"rejected by {approve.by}")
        return tasks.charge_card.si(new.order, new.cents, new.card)

    @charge.compensate
    def refund(self, new: NewOrder, charge: int) -> Signature[None]:
        """Give the money back."""
        return tasks.refund_card.si(charge)

    @step(pivot=True, idempotent=True, retry=Retry(attempts=10), timeout=60)
    def ship(self, new: NewOrder) -> Signature[str]:
        """Hand it to the carrier: no way back from here."""
        return tasks.ship_parcel.si(new.order)

    def result(self, new: NewOrder, ship: str) -> str:
        """The parcel."""
        return ship
