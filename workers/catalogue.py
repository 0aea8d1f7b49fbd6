"""The Northwind catalogue: products, customers, shippers and orders, with money in whole cents."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from importlib.resources import files

MISSING = "NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Something that can be ordered."""

    id: int
    name: str
    price_cents: int
    stock: int
    discontinued: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A company that orders."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipper:
    """A company that carries orders."""

    id: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One product of an order; `cents` is the price of the whole line, discount taken off."""

    product_id: int
    quantity: int
    cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as Northwind took it; `shipped` tells whether it ever left the house."""

    id: int
    customer_id: str
    shipper_id: int
    freight_cents: int
    shipped: bool
    lines: tuple[Line, ...]

    @property
    def total_cents(self) -> int:
        """What the customer pays: all lines and the freight."""
        return self.freight_cents + sum(line.cents for line in self.lines)

    @property
    def units(self) -> Mapping[int, int]:
        """How many units of each product are ordered."""
        return {line.product_id: line.quantity for line in self.lines}


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Everything that Northwind sold, to whom, and by which carrier; all in order of id."""

    products: tuple[Product, ...]
    customers: tuple[Customer, ...]
    shippers: tuple[Shipper, ...]
    orders: tuple[Order, ...]

    def turnover(self) -> Mapping[str, int]:
        """The cents of all orders of each customer who ever ordered."""
        cents: defaultdict[str, int] = defaultdict(int)
        for order in self.orders:
            cents[order.customer_id] += order.total_cents
        return dict(cents)


@cache
def northwind() -> Catalogue:
    """The catalogue that ships with these workers."""
    return Catalogue(
        products=tuple(_products()),
        customers=tuple(Customer(id=row["customerID"], name=row["companyName"]) for row in _rows("customers")),
        shippers=tuple(Shipper(id=int(row["shipperID"]), name=row["companyName"]) for row in _rows("shippers")),
        orders=tuple(sorted(_orders(), key=lambda order: order.id)),
    )


def cents(amount: Decimal) -> int:
    """`amount` of dollars in whole cents, rounded half up as on an invoice."""
    return int((amount * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _products() -> Iterator[Product]:
    for row in _rows("products"):
        yield Product(
            id=int(row["productID"]),
            name=row["productName"],
            price_cents=cents(_decimal(row["unitPrice"])),
            stock=int(_decimal(row["unitsInStock"])),
            discontinued=row["discontinued"] == "1",
        )


def _orders() -> Iterator[Order]:
    lines = _lines()
    # Addresses in this file hold bare commas, so only the columns left of them can be trusted: all that we read are.
    for row in _rows("orders"):
        yield Order(
            id=int(row["orderID"]),
            customer_id=row["customerID"],
            shipper_id=int(row["shipVia"]),
            freight_cents=cents(_decimal(row["freight"])),
            shipped=row["shippedDate"] != MISSING,
            lines=tuple(lines[int(row["orderID"])]),
        )


def _lines() -> Mapping[int, list[Line]]:
    lines: defaultdict[int, list[Line]] = defaultdict(list)
    for row in _rows("order-details"):
        quantity = int(row["quantity"])
        price = _decimal(row["unitPrice"]) * quantity * (1 - _decimal(row["discount"]))
        lines[int(row["orderID"])].append(Line(product_id=int(row["productID"]), quantity=quantity, cents=cents(price)))
    return lines


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = files("workers.northwind").joinpath(f"{name}.csv").read_text(encoding="utf-8")
    yield from csv.DictReader(text.splitlines())


def _decimal(text: str) -> Decimal:
    return Decimal(0) if text == MISSING else Decimal(text)
