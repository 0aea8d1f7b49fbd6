"""Seven mistakes (one twice), and two about child sagas, that a type checker finds without any plug-in.

`# E:` names the codes of mypy; every checker reports the line.
"""

from __future__ import annotations

from celery.canvas import Signature

from saga_celery.definition import Child, Saga, step
from tests.typecheck.cases import tasks
from tests.typecheck.cases.accepted import OrderSaga, SilentSaga
from tests.typecheck.cases.tasks import Order, Reservation, Trip


class Mistaken(Saga[Order, str]):
    name = "typed.mistaken"

    @step(no_compensation="x")
    def field(self, order: Order) -> Signature[Reservation]:
        return tasks.reserve_stock.si(order.order_idd, order.lines)  # E: attr-defined

    @step(no_compensation="x")
    def key_(self, order: Order, field: Reservation) -> Signature[None]:
        return tasks.release_stock.si(field["ident"])  # E: typeddict-item

    @step(no_compensation="x")
    def argument(self, order: Order) -> Signature[None]:
        return tasks.release_stock.si(order.order_id)  # E: arg-type

    @step(no_compensation="x")
    def missing(self, order: Order) -> Signature[str]:
        return tasks.create_shipment.si(order.order_id)  # E: call-arg

    @step(no_compensation="x")
    def returned(self, order: Order) -> Signature[int]:
        return tasks.create_shipment.si(order.order_id, "north")  # E: return-value

    def result(self, order: Order) -> int:  # E: override
        return 3


class Optioned(Saga[Order]):
    name = "typed.optioned"

    @step(retires=3)  # E: call-overload, untyped-decorator
    def only(self, order: Order) -> Signature[None]:
        return self.task("t")


class Parent(Saga[Order]):
    name = "typed.mistaken_parent"

    @step()
    def another_result(self, order: Order) -> Child[int]:
        return OrderSaga.si(order)  # E: return-value

    @step()
    def another_input(self, order: Order) -> Child[None]:
        return SilentSaga.si(order)  # E: arg-type


OrderSaga.start(Trip(city="Rome"))  # E: arg-type
