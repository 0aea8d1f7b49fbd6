"""Everything that tells what became of trips, read by SQL into plain values. No word of the saga runner is trusted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, column, select, table

from workers.reconcile.databases import SAGA, Databases
from workers.trips.wanted import KINDS, Wanted

KEY_PREFIX = "trip-"
OFFERS = dict(zip(KINDS, ("rooms", "seats", "cars"), strict=True))
ENDED = ("COMPLETED", "COMPENSATED", "FAILED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A saga as its table has it."""

    id: str
    key: str | None
    name: str
    state: str
    parent_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A room, a seat or a car."""

    id: int
    kind: str
    city: str
    traveller: str
    cancelled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Money taken for a trip."""

    id: int
    trip_id: int
    traveller: str
    cents: int
    refunded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What the sagas claim, and what the services hold."""

    trips: Mapping[str, Wanted]
    """By the keys of their sagas."""
    sagas: Mapping[str, Sequence[Row]]
    """Those of a trip itself, by key."""
    payments: Mapping[str, Sequence[Row]]
    """Their children, by the id of the parent."""
    offers: Mapping[tuple[str, str], tuple[int, int]]
    """(kind, city) -> how much there was at first, and is now."""
    bookings: Sequence[Booking]
    tickets: Sequence[tuple[int, str, str]]
    """Trip, traveller, the ids of the bookings."""
    charges: Sequence[Charge]
    entries: Mapping[int, Sequence[tuple[str, str, int]]]
    """Of the ledger, by charge: account, kind, cents."""
    credit_used: Mapping[str, int]
    confirmations: Sequence[int]
    refusals: Mapping[str, int]


def read_books(databases: Databases, trips: Sequence[Wanted]) -> Books:
    """Read the sagas' database and those of the three services that take part in a trip."""
    with (
        databases.open(SAGA) as saga,
        databases.open("travel") as travel,
        databases.open("payments") as payments,
        databases.open("notifications") as notifications,
    ):
        rows = _sagas(saga)
        return Books(
            trips={f"{KEY_PREFIX}{trip.id}": trip for trip in trips},
            sagas=_grouped((row.key, row) for row in rows if row.key is not None),
            payments=_grouped((row.parent_id, row) for row in rows if row.parent_id is not None),
            offers={
                (kind, city): (first, now)
                for kind, name in OFFERS.items()
                for city, first, now in _rows(travel, name, "city", "capacity", "available")
            },
            bookings=[
                Booking(id=row[0], kind=row[1], city=row[2], traveller=row[3], cancelled=bool(row[4]))
                for row in _rows(travel, "booking", "id", "kind", "city", "traveller", "cancelled")
            ],
            tickets=_rows(travel, "ticket", "trip_id", "traveller", "bookings"),
            charges=[
                Charge(id=row[0], trip_id=row[1], traveller=row[2], cents=row[3], refunded=bool(row[4]))
                for row in _rows(payments, "charge", "charge_id", "order_id", "customer_id", "cents", "refunded")
            ],
            entries=_grouped(
                (charge, (account, kind, cents))
                for charge, account, kind, cents in _rows(payments, "ledger", "charge_id", "account", "kind", "cents")
            ),
            credit_used=dict(_rows(payments, "credit", "customer_id", "used_cents")),
            confirmations=[row[0] for row in _rows(notifications, "confirmation", "order_id")],
            refusals=_refusals(travel, payments),
        )


def count_states(databases: Databases) -> dict[str, int]:
    """How many trips are in each state now."""
    with databases.open(SAGA) as connection:
        return dict(Counter(row.state for row in _sagas(connection) if row.key is not None))


def _sagas(connection: Connection) -> list[Row]:
    columns = ("id", "key", "name", "state", "parent_id")
    found = [Row(**dict(zip(columns, row, strict=True))) for row in _rows(connection, "saga", *columns)]
    return [row for row in found if row.name.startswith("travel.")]


def _refusals(travel: Connection, payments: Connection) -> dict[str, int]:
    """How often each kind of request was refused."""
    requests = [row for each in (travel, payments) for row in _rows(each, "request", "action", "refusal")]
    return dict(Counter(f"{action}: {refusal}" for action, refusal in requests if refusal is not None).most_common())


def _grouped(pairs: Any) -> dict[Any, list[Any]]:
    found: defaultdict[Any, list[Any]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return dict(found)


def _rows(connection: Connection, name: str, *columns: str) -> list[Any]:
    source = table(name, *(column(each) for each in columns))
    return [tuple(row) for row in connection.execute(select(*source.c))]
