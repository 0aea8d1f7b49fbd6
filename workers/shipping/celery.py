"""The shipping service's Celery application: `celery -A workers.shipping worker`."""

from __future__ import annotations

from saga_celery import SagaApp
from workers.service.app import service_app
from workers.service.database import service_engine
from workers.shipping import dock

app = service_app("shipping")
SagaApp(app)


@app.task(name="shipping.ship")
def ship(*, order_id: int, shipper_id: int, key: str) -> dock.Shipped:
    """Hand the order to the carrier, or refuse it."""
    return dock.ship(service_engine("shipping"), order_id=order_id, shipper_id=shipper_id, key=key)


@app.task(name="shipping.cancel_shipment")
def cancel_shipment(*, shipment_id: int, key: str) -> dock.Cancelled:
    """Call a shipment back."""
    return dock.cancel_shipment(service_engine("shipping"), shipment_id=shipment_id, key=key)
