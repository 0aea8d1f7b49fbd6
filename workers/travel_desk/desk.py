"""Book and cancel rooms, seats and cars, each from its own table of what is left, by city; issue the papers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    insert,
    select,
    update,
)

from workers.service.database import insert_row
from workers.service.request import once, request
from workers.travel_desk import SoldOut, UnknownBooking, VisaDenied

metadata = MetaData()
request.to_metadata(metadata)


def _offer(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("city", String(60), primary_key=True),
        Column("capacity", Integer, nullable=False),
        Column("available", Integer, CheckConstraint("available >= 0"), nullable=False),
    )


OFFERS: Mapping[str, Table] = {"hotel": _offer("rooms"), "flight": _offer("seats"), "car": _offer("cars")}

booking = Table(
    "booking",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("city", String(60), nullable=False),
    Column("traveller", String(100), nullable=False),
    Column("cancelled", Boolean, nullable=False),
)
ticket = Table(
    "ticket",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("trip_id", Integer, nullable=False, index=True),
    Column("traveller", String(100), nullable=False),
    Column("bookings", String(100), nullable=False),
)
without_visa = Table("without_visa", metadata, Column("traveller", String(100), primary_key=True))


class Booked(TypedDict):
    """The answer to `travel.book_*`."""

    booking_id: int


class Cancelled(TypedDict):
    """The answer to `travel.cancel_*`."""

    cancelled: bool


class Issued(TypedDict):
    """The answer to `travel.issue_tickets`."""

    ticket_id: int


def book(engine: Engine, kind: str, *, traveller: str, city: str, key: str) -> Booked:
    """Book one `kind` of `hotel`, `flight` or `car` for the traveller."""

    def effect(connection: Connection) -> Booked:
        if not _move(connection, kind, city, -1):
            raise SoldOut(f"no {kind} left for {city}")
        booking_id = insert_row(connection, booking, kind=kind, city=city, traveller=traveller, cancelled=False)
        return Booked(booking_id=booking_id)

    return once(engine, key, f"book_{kind}", {"traveller": traveller, "city": city}, effect)


def cancel(engine: Engine, kind: str, *, booking_id: int, key: str) -> Cancelled:
    """Cancel a booking; a second time changes nothing."""

    def effect(connection: Connection) -> Cancelled:
        mine = (booking.c.id == booking_id, booking.c.kind == kind)
        city = connection.execute(select(booking.c.city).where(*mine)).scalar()
        if city is None:
            raise UnknownBooking(f"no {kind} booking {booking_id}")
        if connection.execute(
            update(booking).where(*mine, booking.c.cancelled.is_(False)).values(cancelled=True)
        ).rowcount:
            _move(connection, kind, city, +1)
        return Cancelled(cancelled=True)

    return once(engine, key, f"cancel_{kind}", {"booking_id": booking_id}, effect)


def issue(engine: Engine, *, trip_id: int, traveller: str, booking_ids: Sequence[int], key: str) -> Issued:
    """Issue the papers for a trip, unless its traveller is not let in."""
    bookings = " ".join(map(str, booking_ids))

    def effect(connection: Connection) -> Issued:
        if connection.execute(select(without_visa).where(without_visa.c.traveller == traveller)).first():
            raise VisaDenied(f"{traveller} has no visa")
        ticket_id = insert_row(connection, ticket, trip_id=trip_id, traveller=traveller, bookings=bookings)
        return Issued(ticket_id=ticket_id)

    arguments = {"trip_id": trip_id, "traveller": traveller, "bookings": bookings}
    return once(engine, key, "issue_tickets", arguments, effect)


def seed(connection: Connection, capacity: Mapping[str, int]) -> None:
    """Offer `capacity` rooms, seats and cars in each city."""
    for kind in OFFERS:
        offer(connection, kind, capacity)


def offer(connection: Connection, kind: str, capacity: Mapping[str, int]) -> None:
    """Offer `capacity` of one kind in each city."""
    rows = [{"city": city, "capacity": left, "available": left} for city, left in capacity.items()]
    connection.execute(insert(OFFERS[kind]), rows)


def deny_visa(connection: Connection, travellers: Iterable[str]) -> None:
    """Name the travellers who are not let in."""
    if rows := [{"traveller": traveller} for traveller in travellers]:
        connection.execute(insert(without_visa), rows)


def _move(connection: Connection, kind: str, city: str, by: int) -> bool:
    left = OFFERS[kind]
    moved = connection.execute(
        update(left).where(left.c.city == city, left.c.available + by >= 0).values(available=left.c.available + by)
    )
    return moved.rowcount > 0
