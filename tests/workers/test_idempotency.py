"""Services answer each request once, under copies, races and refusals."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, Table, func, select, update

from workers.inventory import Discontinued, OutOfStock, UnknownReservation, stock
from workers.payments import CreditLimitExceeded, UnknownCharge, ledger
from workers.seed import SERVICES, seed
from workers.service.database import open_engine
from workers.service.request import KeyReused
from workers.shipping import NeverShipped, UnknownShipment, dock
from workers.travel_desk import SoldOut, UnknownBooking, desk

CHAI = 1
CHAI_IN_STOCK = 39
GUMBO_DISCONTINUED = 5
NEVER_SHIPPED = 11008


def opened(folder: Path, service: str) -> Engine:
    url = f"sqlite:///{folder}/{service}.db"
    assert seed(service, url, stock_factor=1)
    return open_engine(url)


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Engine]:
    engine = opened(tmp_path, "inventory")
    yield engine
    engine.dispose()


@pytest.fixture
def payments(tmp_path: Path) -> Iterator[Engine]:
    engine = opened(tmp_path, "payments")
    yield engine
    engine.dispose()


@pytest.fixture
def shipping(tmp_path: Path) -> Iterator[Engine]:
    engine = opened(tmp_path, "shipping")
    yield engine
    engine.dispose()


@pytest.fixture
def travel(tmp_path: Path) -> Iterator[Engine]:
    engine = opened(tmp_path, "travel")
    yield engine
    engine.dispose()


def available(engine: Engine, product_id: int) -> int:
    with engine.connect() as connection:
        query = select(stock.stock.c.available).where(stock.stock.c.product_id == product_id)
        return int(connection.execute(query).scalar_one())


def count(engine: Engine, table: Table) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_copy_gets_the_stored_answer_and_takes_nothing(inventory: Engine) -> None:
    first = stock.reserve(inventory, order_id=1, lines=[(CHAI, 4)], key="k")
    again = stock.reserve(inventory, order_id=1, lines=[(CHAI, 4)], key="k")
    assert again["reservation_id"] == first["reservation_id"]
    assert available(inventory, CHAI) == CHAI_IN_STOCK - 4


def test_the_same_key_with_other_arguments_is_refused(inventory: Engine) -> None:
    stock.reserve(inventory, order_id=1, lines=[(CHAI, 4)], key="k")
    with pytest.raises(KeyReused, match="'k' belongs to reserve"):
        stock.reserve(inventory, order_id=1, lines=[(CHAI, 5)], key="k")
    with pytest.raises(KeyReused):
        stock.release(inventory, reservation_id=1, key="k")
    assert available(inventory, CHAI) == CHAI_IN_STOCK - 4


def test_a_reservation_takes_all_lines_or_none(inventory: Engine) -> None:
    with pytest.raises(OutOfStock, match="product 2: 1000 ordered, 17 available"):
        stock.reserve(inventory, order_id=1, lines=[(CHAI, 4), (2, 1000)], key="k")
    assert available(inventory, CHAI) == CHAI_IN_STOCK
    assert count(inventory, stock.reservation) == 0


def test_a_refusal_is_stored_and_stands_when_the_shelves_are_full_again(inventory: Engine) -> None:
    with pytest.raises(OutOfStock):
        stock.reserve(inventory, order_id=1, lines=[(CHAI, 40)], key="k")
    with inventory.begin() as connection:
        connection.execute(update(stock.stock).values(available=1000))
    with pytest.raises(OutOfStock, match="40 ordered, 39 available"):
        stock.reserve(inventory, order_id=1, lines=[(CHAI, 40)], key="k")


def test_discontinued_and_unknown_products_are_refused(inventory: Engine) -> None:
    with pytest.raises(Discontinued):
        stock.reserve(inventory, order_id=1, lines=[(GUMBO_DISCONTINUED, 1)], key="a")
    with pytest.raises(OutOfStock):
        stock.reserve(inventory, order_id=1, lines=[(4711, 1)], key="b")


def test_a_release_puts_the_units_back_once(inventory: Engine) -> None:
    reserved = stock.reserve(inventory, order_id=1, lines=[(CHAI, 4)], key="k")
    for key in ("release", "release", "another key"):
        stock.release(inventory, reservation_id=reserved["reservation_id"], key=key)
    assert available(inventory, CHAI) == CHAI_IN_STOCK
    with pytest.raises(UnknownReservation):
        stock.release(inventory, reservation_id=4711, key="unknown")


def test_two_threads_want_the_last_unit(inventory: Engine) -> None:
    stock.reserve(inventory, order_id=1, lines=[(CHAI, CHAI_IN_STOCK - 1)], key="all but one")
    start = threading.Barrier(2)

    def want(order_id: int) -> str:
        start.wait()
        try:
            stock.reserve(inventory, order_id=order_id, lines=[(CHAI, 1)], key=f"order {order_id}")
        except OutOfStock:
            return "refused"
        return "reserved"

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(want, (2, 3))) == ["refused", "reserved"]
    assert available(inventory, CHAI) == 0


def test_eight_threads_bring_the_same_key(payments: Engine) -> None:
    start = threading.Barrier(8)

    def charge(_: int) -> int:
        start.wait()
        charged = ledger.charge(payments, customer_id="VINET", order_id=1, cents=100, key="k")
        return charged["charge_id"]

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(charge, range(8)))) == 1
    assert count(payments, ledger.charges) == 1
    assert count(payments, ledger.ledger) == 2


def test_charges_stop_at_the_credit_limit_and_refunds_give_credit_back(payments: Engine) -> None:
    with payments.connect() as connection:
        limit = connection.execute(
            select(ledger.credit.c.limit_cents).where(ledger.credit.c.customer_id == "VINET")
        ).scalar_one()
    charged = ledger.charge(payments, customer_id="VINET", order_id=1, cents=limit, key="all")
    with pytest.raises(CreditLimitExceeded):
        ledger.charge(payments, customer_id="VINET", order_id=2, cents=1, key="one more")
    for key in ("refund", "refund", "another key"):
        ledger.refund(payments, charge_id=charged["charge_id"], key=key)
    ledger.charge(payments, customer_id="VINET", order_id=3, cents=limit, key="again")
    assert count(payments, ledger.ledger) == 6
    with pytest.raises(UnknownCharge):
        ledger.refund(payments, charge_id=4711, key="unknown")


def test_an_order_that_never_shipped_is_refused(shipping: Engine) -> None:
    with pytest.raises(NeverShipped):
        dock.ship(shipping, order_id=NEVER_SHIPPED, shipper_id=1, key="never")
    shipped = dock.ship(shipping, order_id=10248, shipper_id=3, key="ship")
    assert dock.cancel_shipment(shipping, shipment_id=shipped["shipment_id"], key="cancel") == {"cancelled": True}
    assert dock.cancel_shipment(shipping, shipment_id=shipped["shipment_id"], key="other") == {"cancelled": True}
    with pytest.raises(UnknownShipment):
        dock.cancel_shipment(shipping, shipment_id=4711, key="unknown")


@pytest.mark.parametrize("kind", sorted(desk.OFFERS))
def test_travel_sells_out_and_cancels(travel: Engine, kind: str) -> None:
    bookings = [desk.book(travel, kind, traveller=f"t{n}", city="Berlin", key=f"t{n}") for n in range(10)]
    with pytest.raises(SoldOut):
        desk.book(travel, kind, traveller="late", city="Berlin", key="late")
    for key in ("cancel", "another key"):
        desk.cancel(travel, kind, booking_id=bookings[0]["booking_id"], key=key)
    desk.book(travel, kind, traveller="lucky", city="Berlin", key="lucky")
    with pytest.raises(SoldOut):
        desk.book(travel, kind, traveller="late", city="Berlin", key="later")
    with pytest.raises(UnknownBooking):
        desk.cancel(travel, kind, booking_id=4711, key="unknown")


@pytest.mark.parametrize("service", sorted(set(SERVICES) - {"notifications"}))
def test_seeding_twice_leaves_the_first_seed(tmp_path: Path, service: str) -> None:
    opened(tmp_path, service).dispose()
    assert not seed(service, f"sqlite:///{tmp_path}/{service}.db", stock_factor=99)
