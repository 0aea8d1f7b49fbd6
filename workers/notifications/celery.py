"""The notifications service's Celery application: `celery -A workers.notifications worker`."""

from __future__ import annotations

from saga_celery import SagaApp
from workers.notifications import outbox
from workers.service.app import service_app
from workers.service.database import service_engine

app = service_app("notifications")
SagaApp(app)


@app.task(name="notifications.confirm")
def confirm(*, order_id: int, customer_id: str, key: str) -> outbox.Sent:
    """Tell the customer that the order is on its way."""
    return outbox.confirm(service_engine("notifications"), order_id=order_id, customer_id=customer_id, key=key)
