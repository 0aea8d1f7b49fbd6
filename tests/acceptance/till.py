"""A Celery application that takes payments through the gateway, and whose worker dies right after each charge.

One saga for each thing that can be declared about an unknown outcome.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Literal

from celery import Celery
from celery.canvas import Signature
from pydantic import BaseModel

from saga_celery import Retry, Saga, SagaApp, step
from tests.acceptance.gateway import ask

FOLDER = Path(os.environ["SHOP_FOLDER"])
GATEWAY = int(os.environ.get("TILL_GATEWAY", "0"))
QUICK = Retry(attempts=3, delay=0.05)

app = Celery("till", broker=os.environ["SHOP_BROKER"])
app.conf.update(
    task_default_queue="till",
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    saga_database_url=os.environ["SHOP_DATABASE"],
    saga_heartbeat_interval=0.5,
    saga_sweep_interval=0.2,
    saga_settle_delay=0.2,
)
SagaApp(app)


class Payment(BaseModel):
    """What is paid, when the worker dies, and whether the saga turns round later."""

    name: str
    dies: Literal["before", "after", "never"] = "after"
    turns_round: bool = False


def die(payment: dict[str, str], when: str) -> None:
    """Die the first time that it comes to this."""
    if payment["dies"] != when:
        return
    try:
        (FOLDER / f"died-{payment['name']}").touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="till.charge")
def charge(payment: dict[str, str], key: str | None = None) -> int:
    die(payment, "before")
    charged: int = ask(GATEWAY, "charge", payment["name"], key)
    die(payment, "after")
    return charged


@app.task(name="till.find")
def find(order: str) -> int | None:
    found: int | None = ask(GATEWAY, "find", order)
    return found


@app.task(name="till.refund")
def refund(order: str) -> None:
    ask(GATEWAY, "refund", order)


@app.task(name="till.deliver")
def deliver(order: str, turns_round: bool) -> str:
    if turns_round:
        raise ArithmeticError(f"nothing to deliver for {order}")
    return order


class ProbedSaga(Saga[Payment]):
    """No key, but the gateway can be asked."""

    name = "till.probed"

    @step(retry=QUICK, timeout=30)
    def pay(self, payment: Payment) -> Signature[int]:
        return self.task("till.charge", payment.model_dump())

    @pay.compensate(idempotent=True, retry=QUICK)
    def give_back(self, payment: Payment, pay: int) -> Signature[None]:
        return self.task("till.refund", payment.name)

    @pay.probe
    def find_payment(self, payment: Payment) -> Signature[int | None]:
        return self.task("till.find", payment.name)

    @step(no_compensation="the last one", idempotent=True, retry=Retry(attempts=1))
    def deliver(self, payment: Payment, pay: int) -> Signature[str]:
        return self.task("till.deliver", payment.name, payment.turns_round)


class KeyedSaga(Saga[Payment]):
    """The gateway knows a charge by its key."""

    name = "till.keyed"

    @step(retry=QUICK, timeout=30)
    def pay(self, payment: Payment) -> Signature[int]:
        return self.task("till.charge", payment.model_dump(), key=self.key())

    @pay.compensate(idempotent=True, retry=QUICK)
    def give_back(self, payment: Payment, pay: int) -> Signature[None]:
        return self.task("till.refund", payment.name)


class BlindSaga(Saga[Payment]):
    """No key, no question; but what may never have been charged can be given back."""

    name = "till.blind"

    @step(timeout=30)
    def pay(self, payment: Payment) -> Signature[int]:
        return self.task("till.charge", payment.model_dump())

    @pay.compensate(null_safe=True, idempotent=True, retry=QUICK)
    def give_back(self, payment: Payment) -> Signature[None]:
        return self.task("till.refund", payment.name)


class PlainSaga(Saga[Payment]):
    """Nothing is declared: a person must look."""

    name = "till.plain"

    @step(timeout=30)
    def pay(self, payment: Payment) -> Signature[int]:
        return self.task("till.charge", payment.model_dump())

    @pay.compensate(idempotent=True, retry=QUICK)
    def give_back(self, payment: Payment, pay: int) -> Signature[None]:
        return self.task("till.refund", payment.name)
