"""Everything that the reconciliation looks at, read by SQL into plain values."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, column, select, table

from workers.catalogue import Order
from workers.reconcile.databases import SAGA, Databases

KEY_PREFIX = "order-"
STATES = ("PENDING", "RUNNING", "COMPENSATING", "COMPLETED", "COMPENSATED", "FAILED")
ENDED = ("COMPLETED", "COMPENSATED", "FAILED")


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaRow:
    """A saga and the state it is in."""

    key: str
    state: str

    @property
    def order_id(self) -> int | None:
        """The order that the key names."""
        number = self.key.removeprefix(KEY_PREFIX)
        return int(number) if number.isdecimal() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Units taken off the shelves for an order."""

    id: int
    order_id: int
    released: bool
    units: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Money taken for an order."""

    id: int
    order_id: int
    customer_id: str
    cents: int
    refunded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row of the ledger."""

    account: str
    charge_id: int
    cents: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """An order handed to a carrier."""

    id: int
    order_id: int
    shipper_id: int
    cancelled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A product's stock at the beginning and now."""

    product_id: int
    initial: int
    available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What the sagas claim, and what the services hold."""

    orders: Mapping[int, Order]
    sagas: Sequence[SagaRow]
    shelves: Sequence[Shelf]
    reservations: Sequence[Reservation]
    charges: Sequence[Charge]
    entries: Sequence[Entry]
    credit_used: Mapping[str, int]
    shipments: Sequence[Shipment]
    confirmations: Sequence[int]
    refusals: Mapping[str, int]

    def in_state(self, state: str) -> list[Order]:
        """The orders whose saga is in `state`."""
        return [
            self.orders[saga.order_id]
            for saga in self.sagas
            if saga.state == state and saga.order_id is not None and saga.order_id in self.orders
        ]

    def count_states(self) -> dict[str, int]:
        """How many sagas are in each state."""
        return dict(Counter(saga.state for saga in self.sagas))


def read_books(databases: Databases, orders: Sequence[Order]) -> Books:
    """Read the sagas' database and those of the four services that take part in an order."""
    with (
        databases.open(SAGA) as saga,
        databases.open("inventory") as inventory,
        databases.open("payments") as payments,
        databases.open("shipping") as shipping,
        databases.open("notifications") as notifications,
    ):
        return Books(
            orders={order.id: order for order in orders},
            sagas=_sagas(saga),
            shelves=[
                Shelf(product_id=row[0], initial=row[1], available=row[2])
                for row in _rows(inventory, "stock", "product_id", "initial", "available")
            ],
            reservations=_reservations(inventory),
            charges=_charges(payments),
            entries=[
                Entry(account=row[0], charge_id=row[1], cents=row[2], kind=row[3])
                for row in _rows(payments, "ledger", "account", "charge_id", "cents", "kind")
            ],
            credit_used={row[0]: row[1] for row in _rows(payments, "credit", "customer_id", "used_cents")},
            shipments=[
                Shipment(id=row[0], order_id=row[1], shipper_id=row[2], cancelled=bool(row[3]))
                for row in _rows(shipping, "shipment", "id", "order_id", "shipper_id", "cancelled")
            ],
            confirmations=[row[0] for row in _rows(notifications, "confirmation", "order_id")],
            refusals=_refusals(inventory, payments, shipping),
        )


def count_states(databases: Databases) -> dict[str, int]:
    """How many order sagas are in each state now."""
    with databases.open(SAGA) as connection:
        return dict(Counter(saga.state for saga in _sagas(connection)))


def _sagas(connection: Connection) -> list[SagaRow]:
    return [
        SagaRow(key=row[0], state=str(row[1]).upper())
        for row in _rows(connection, "saga", "key", "state")
        if row[0] and str(row[0]).startswith(KEY_PREFIX)
    ]


def _reservations(connection: Connection) -> list[Reservation]:
    units: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for reservation_id, product_id, quantity in _rows(
        connection, "reservation_line", "reservation_id", "product_id", "quantity"
    ):
        units[reservation_id][product_id] = quantity
    return [
        Reservation(id=row[0], order_id=row[1], released=bool(row[2]), units=units[row[0]])
        for row in _rows(connection, "reservation", "id", "order_id", "released")
    ]


def _charges(connection: Connection) -> list[Charge]:
    columns = ("charge_id", "order_id", "customer_id", "cents", "refunded")
    return [
        Charge(id=row[0], order_id=row[1], customer_id=row[2], cents=row[3], refunded=bool(row[4]))
        for row in _rows(connection, "charge", *columns)
    ]


def _refusals(*connections: Connection) -> dict[str, int]:
    reasons = (row[0] for connection in connections for row in _rows(connection, "request", "refusal"))
    return dict(Counter(str(reason) for reason in reasons if reason is not None).most_common())


def _rows(connection: Connection, name: str, *columns: str) -> list[tuple[Any, ...]]:
    source = table(name, *(column(each) for each in columns))
    return [tuple(row) for row in connection.execute(select(*source.c))]
