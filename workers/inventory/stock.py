"""Reserve and release units of stock, all lines of an order or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypedDict

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    insert,
    select,
    update,
)

from workers.catalogue import Product
from workers.inventory import Discontinued, OutOfStock, UnknownReservation
from workers.service.database import insert_row
from workers.service.request import once, request

metadata = MetaData()
request.to_metadata(metadata)

stock = Table(
    "stock",
    metadata,
    Column("product_id", Integer, primary_key=True, autoincrement=False),
    Column("initial", Integer, nullable=False),
    Column("available", Integer, CheckConstraint("available >= 0"), nullable=False),
    Column("discontinued", Boolean, nullable=False),
)
reservation = Table(
    "reservation",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("order_id", Integer, nullable=False, index=True),
    Column("released", Boolean, nullable=False),
)
reservation_line = Table(
    "reservation_line",
    metadata,
    Column("reservation_id", ForeignKey("reservation.id"), primary_key=True),
    Column("product_id", ForeignKey("stock.product_id"), primary_key=True),
    Column("quantity", Integer, nullable=False),
)


class Reserved(TypedDict):
    """The answer to `inventory.reserve`."""

    reservation_id: int
    lines: list[tuple[int, int]]


class Released(TypedDict):
    """The answer to `inventory.release`."""

    released: bool


def reserve(engine: Engine, *, order_id: int, lines: Sequence[tuple[int, int]], key: str) -> Reserved:
    """Take the units of all `lines` (product, quantity) off the shelves, or raise and take none."""
    wanted = _totals(lines)

    def effect(connection: Connection) -> Reserved:
        for product_id, quantity in wanted:
            _take(connection, product_id, quantity)
        return Reserved(reservation_id=_record(connection, order_id, wanted), lines=wanted)

    return once(engine, key, "reserve", {"order_id": order_id, "lines": wanted}, effect)


def release(engine: Engine, *, reservation_id: int, key: str) -> Released:
    """Put the units of a reservation back; releasing it a second time changes nothing."""

    def effect(connection: Connection) -> Released:
        if _close(connection, reservation_id):
            _put_back(connection, reservation_id)
        return Released(released=True)

    return once(engine, key, "release", {"reservation_id": reservation_id}, effect)


def seed(connection: Connection, products: Iterable[Product], factor: int) -> None:
    """Fill the shelves with `factor` times the stock of the catalogue."""
    shelves = [
        {
            "product_id": product.id,
            "initial": product.stock * factor,
            "available": product.stock * factor,
            "discontinued": product.discontinued,
        }
        for product in products
    ]
    connection.execute(insert(stock), shelves)


def _totals(lines: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    # In order of product, so that two orders never wait for each other's rows.
    totals: Counter[int] = Counter()
    for product_id, quantity in lines:
        totals[product_id] += quantity
    return sorted(totals.items())


def _take(connection: Connection, product_id: int, quantity: int) -> None:
    taken = connection.execute(
        update(stock)
        .where(stock.c.product_id == product_id, stock.c.available >= quantity, stock.c.discontinued.is_(False))
        .values(available=stock.c.available - quantity)
    )
    if taken.rowcount == 0:
        raise _refusal(connection, product_id, quantity)


def _refusal(connection: Connection, product_id: int, quantity: int) -> Discontinued | OutOfStock:
    shelf = connection.execute(
        select(stock.c.available, stock.c.discontinued).where(stock.c.product_id == product_id)
    ).first()
    if shelf is not None and shelf.discontinued:
        return Discontinued(f"product {product_id} is no longer sold")
    available = 0 if shelf is None else shelf.available
    return OutOfStock(f"product {product_id}: {quantity} ordered, {available} available")


def _record(connection: Connection, order_id: int, wanted: Sequence[tuple[int, int]]) -> int:
    reservation_id = insert_row(connection, reservation, order_id=order_id, released=False)
    connection.execute(
        insert(reservation_line),
        [{"reservation_id": reservation_id, "product_id": product, "quantity": units} for product, units in wanted],
    )
    return reservation_id


def _close(connection: Connection, reservation_id: int) -> bool:
    """Mark the reservation as released; False when it was before."""
    closed = connection.execute(
        update(reservation)
        .where(reservation.c.id == reservation_id, reservation.c.released.is_(False))
        .values(released=True)
    )
    if closed.rowcount:
        return True
    if connection.execute(select(reservation.c.id).where(reservation.c.id == reservation_id)).first() is None:
        raise UnknownReservation(f"no reservation {reservation_id}")
    return False


def _put_back(connection: Connection, reservation_id: int) -> None:
    lines = connection.execute(
        select(reservation_line.c.product_id, reservation_line.c.quantity)
        .where(reservation_line.c.reservation_id == reservation_id)
        .order_by(reservation_line.c.product_id)
    ).all()
    for product_id, quantity in lines:
        connection.execute(
            update(stock).where(stock.c.product_id == product_id).values(available=stock.c.available + quantity)
        )
