"""The demo's coordinator with two sagas more, which go wrong in ways that a person has to mend.

Which ones do follows from the sale; the courier is shut while a file says so.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from celery.canvas import Signature
from pydantic import BaseModel

from saga_celery import Retry, Saga, step, wait_for
from workers.coordinator import app

app.conf.update(saga_console_writable=True, worker_send_task_events=True, worker_concurrency=2)


class Sale(BaseModel):
    """The input."""

    id: int
    cents: int
    account: str


class Approval(BaseModel):
    """What a manager answers."""

    ok: bool
    by: str


def shut() -> bool:
    """The courier takes nothing."""
    return (Path(os.environ["DESK_FOLDER"]) / "courier-is-shut").exists()


@app.task(name="desk.charge")
def charge(sale_id: int, account: str) -> str:
    return f"{account}-{sale_id}"


@app.task(name="desk.refund")
def refund(account: str, cents: int) -> None:
    if account.startswith("closed"):
        raise RuntimeError(f"account {account} is closed")


@app.task(name="desk.label")
def label(sale_id: int) -> str:
    if shut():
        raise ConnectionError("the courier takes nothing today")
    return f"label-{sale_id}"


class SaleSaga(Saga[Sale, None]):
    """A sale at the desk."""

    name = "desk.sale"

    @step(idempotent=True)
    def pay(self, sale: Sale) -> Signature[str]:
        return charge.si(sale.id, sale.account)

    @pay.compensate(retry=Retry(attempts=1))
    def pay_back(self, sale: Sale, pay: str) -> Signature[None]:
        return refund.si(account=sale.account, cents=sale.cents)

    @wait_for(Approval, timeout=timedelta(days=2))
    def approve(self, sale: Sale) -> None:
        """Nobody is asked by us."""


class ParcelSaga(Saga[Sale, str]):
    """A parcel that has to go out."""

    name = "desk.parcel"

    @step(pivot=True, idempotent=True)
    def pay(self, sale: Sale) -> Signature[str]:
        return charge.si(sale.id, sale.account)

    @step(idempotent=True, retry=Retry(attempts=1), no_compensation="behind the pivot")
    def label(self, sale: Sale) -> Signature[str]:
        return label.si(sale.id)

    def result(self, sale: Sale, label: str) -> str:
        return label
