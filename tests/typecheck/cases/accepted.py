"""Everything here is right; a type checker without any plug-in has nothing to say."""

from __future__ import annotations

from datetime import timedelta

from celery.canvas import Signature

from saga_celery.core.states import SagaStatus
from saga_celery.definition import (
    NEVER,
    SKIP,
    UNKNOWN,
    Abort,
    Child,
    Finding,
    Found,
    Retry,
    Saga,
    SagaHandle,
    Skip,
    StartItem,
    Step,
    parallel,
    sequence,
    step,
)
from tests.typecheck.cases import tasks
from tests.typecheck.cases.tasks import Approval, Charge, Order, Reservation


class OrderSaga(Saga[Order, str]):
    name = "typed.order"
    timeout = timedelta(hours=1)

    @step(idempotent=True)
    def reserve(self, order: Order) -> Signature[Reservation]:
        return tasks.reserve_stock.si(order.order_id, order.lines)

    @reserve.compensate
    def release(self, order: Order, reserve: Reservation) -> Signature[None]:
        return tasks.release_stock.si(reserve["id"])

    @step(retry=Retry(attempts=5), fatal=["billing.CardDeclined", ValueError], timeout=30)
    def charge(self, order: Order) -> Signature[Charge]:
        return self.task("billing.charge", cents=order.cents, key=self.key())

    @charge.compensate(retry=Retry(attempts=20), null_safe=True)
    def refund(self, order: Order, charge: Charge | None) -> Signature[None] | Skip:
        return self.task("billing.refund", charge_id=charge.id, key=self.key()) if charge else SKIP

    @charge.probe(timeout=timedelta(seconds=5))
    def find_charge(self, order: Order) -> Signature[Charge | None]:
        return self.task("billing.find", key=self.key_of("charge"))

    @charge.found
    def judge(self, order: Order, answer: Charge | None) -> Finding[Charge]:
        if order.cents == 0:
            return UNKNOWN
        return Found(answer) if answer else NEVER

    @step(no_compensation="asking harms nobody")
    def approve(self, order: Order) -> Signature[Approval] | Skip:
        return tasks.ask_manager.si(order.order_id) if order.cents > 100_000 else SKIP

    @step(pivot=True, queue_grace=60, settle_delay=2.5)
    def ship(self, order: Order, reserve: Reservation, approve: Approval | None) -> Signature[str]:
        if approve and not approve.ok:
            raise Abort(f"refused by {approve.by}")
        return tasks.create_shipment.si(order.order_id, reserve["warehouse"])

    with parallel():

        @step(idempotent=True)
        def receipt(self, order: Order, ship: str) -> Signature[None]:
            return tasks.send_receipt.si(order.order_id, ship)

        with sequence():

            @step
            def points(self, order: Order) -> Signature[int]:
                return tasks.add_points.si(order.order_id)

            @step
            def badge(self, order: Order, points: int) -> Signature[None]:
                return self.task("badges.give", points).set(queue="badges")

    def result(self, order: Order, ship: str) -> str:
        return ship


class BasketSaga(Saga[list[int], list[str]]):
    name = "typed.basket"

    @step(limit=3, idempotent=True)
    def reserve(self, numbers: list[int]) -> list[Signature[Reservation]]:
        return [tasks.reserve_stock.si(number, []) for number in numbers]

    @reserve.compensate
    def release(self, numbers: list[int], reserve: Reservation) -> Signature[None]:
        return tasks.release_stock.si(reserve["id"])

    @step(no_compensation="asking harms nobody")
    def ask(self, numbers: list[int]) -> list[Signature[Approval]] | Skip:
        return [self.task("ask", number, key=self.key(number)) for number in numbers] or SKIP

    def result(self, numbers: list[int], reserve: list[Reservation], ask: list[Approval] | None) -> list[str]:
        return [each["id"] for each in reserve]


class SilentSaga(Saga[int]):
    name = "typed.silent"

    @step(no_compensation="nothing happens")
    def only(self, number: int) -> Signature[None]:
        return self.task("silence", number)


class ParentSaga(Saga[Order, str]):
    name = "typed.parent"

    @step()
    def silence(self, order: Order) -> Child[None]:
        return SilentSaga.si(3)

    @step
    def inner(self, order: Order) -> Child[str] | Skip:
        return OrderSaga.si(order, timeout=timedelta(minutes=5)) if order.cents else SKIP

    def result(self, order: Order, inner: str | None) -> str:
        return inner or "nothing"


def use(order: Order) -> None:
    handle: SagaHandle[str] = OrderSaga.start(order, key="order-7", tags={"order": 7}, if_exists="raise")
    status: SagaStatus = handle.wait(timeout=30)
    shipment: str = OrderSaga.get(handle.id).result()
    several: list[SagaHandle[str]] = OrderSaga.start_many([order, StartItem(order, key="k")])
    nothing: SagaHandle[None] = SilentSaga.start(3)
    charge: Step[Charge] = OrderSaga.charge
    reserve: Step[list[Reservation]] = BasketSaga.reserve
    ask: Step[list[Approval]] = BasketSaga.ask
    inner: Step[str] = ParentSaga.inner
    print(status, shipment, several, nothing, charge, reserve, ask, inner)
