"""The payments service's Celery application: `celery -A workers.payments worker`."""

from __future__ import annotations

from saga_celery import SagaApp
from workers.payments import ledger
from workers.service.app import service_app
from workers.service.database import service_engine

app = service_app("payments")
SagaApp(app)


@app.task(name="payments.charge")
def charge(*, customer_id: str, order_id: int, cents: int, key: str) -> ledger.Charged:
    """Charge the customer, within the credit limit."""
    return ledger.charge(service_engine("payments"), customer_id=customer_id, order_id=order_id, cents=cents, key=key)


@app.task(name="payments.refund")
def refund(*, charge_id: int, key: str) -> ledger.Refunded:
    """Give a charge back."""
    return ledger.refund(service_engine("payments"), charge_id=charge_id, key=key)
