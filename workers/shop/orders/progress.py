"""How far an order got, in words, for its page."""

from __future__ import annotations

from typing import Any

from saga_celery import SagaStatus
from saga_celery.definition.desk import Snapshot
from workers.shop.orders.models import Order
from workers.shop.orders.sagas import OrderSaga

STEPS = {
    "reserve": "Take it off the shelf",
    "approve": "Approval by staff",
    "charge": "Charge the card",
    "ship": "Ship",
}
WORDS = {
    "awaiting": "waits for a member of staff",
    "succeeded": "done",
    "skipped": "not needed",
    "cancelled": "not done",
    "failed": "failed",
    "compensation_scheduled": "is being undone",
    "compensating": "is being undone",
    "compensation_backing_off": "is being undone",
    "compensated": "undone",
}
"""For a customer; whatever else a step may be, somebody works on it."""
ENDINGS = {
    SagaStatus.PENDING: "We have your order.",
    SagaStatus.RUNNING: "Your order is on its way through the shop.",
    SagaStatus.COMPENSATING: "Your order can not be fulfilled; what was done for it is being undone.",
    SagaStatus.COMPLETED: "Your parcel is with the carrier.",
    SagaStatus.COMPENSATED: "Your order was not fulfilled; all that was done for it has been undone.",
    SagaStatus.FAILED: "Something went wrong; a person is looking after your order.",
}


def progress_of(order: Order) -> dict[str, Any]:
    """What the page shows, as plain JSON."""
    found = OrderSaga.get(order.key).snapshot()
    return {
        "state": found.state,
        "ended": found.state.ended,
        "said": ENDINGS[found.state],
        "cause": _cause(found),
        "waits": any(step.status == "awaiting" for step in found.steps.values()),
        "steps": [{"name": name, "title": title, **_step(found, name)} for name, title in STEPS.items()],
        "parcel": order.parcel,
        "in_stock": order.product.in_stock,
    }


def _step(found: Snapshot, name: str) -> dict[str, str]:
    step = next((step for (place, _), step in found.steps.items() if place == name), None)
    if step is None:
        return {"status": "ahead", "words": "not done" if found.state.ended or found.turn else "to be done"}
    return {"status": step.status, "words": WORDS.get(step.status, "under way")}


def _cause(found: Snapshot) -> str:
    """Why the saga turned round; empty: it did not."""
    if found.turn is None:
        return ""
    return found.failure.message if found.failure else found.turn.reason
