"""The inventory service's Celery application: `celery -A workers.inventory worker`."""

from __future__ import annotations

from saga_celery import SagaApp
from workers.inventory import stock
from workers.service.app import service_app
from workers.service.database import service_engine

app = service_app("inventory")
SagaApp(app)


@app.task(name="inventory.reserve")
def reserve(*, order_id: int, lines: list[tuple[int, int]], key: str) -> stock.Reserved:
    """Take the units of all lines off the shelves, or refuse the order."""
    return stock.reserve(service_engine("inventory"), order_id=order_id, lines=lines, key=key)


@app.task(name="inventory.release")
def release(*, reservation_id: int, key: str) -> stock.Released:
    """Put the units of a reservation back."""
    return stock.release(service_engine("inventory"), reservation_id=reservation_id, key=key)
