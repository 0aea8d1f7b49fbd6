"""What the agency keeps: where one can go, who wants to, and what was done for them. Money in whole cents."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from workers.agency.database import Model


class Destination(Model):
    """A city, and the price of a trip there for one traveller."""

    id: Mapped[int] = mapped_column(primary_key=True)
    city: Mapped[str] = mapped_column(String(60), unique=True)
    cents: Mapped[int]


class Offer(Model):
    """What is left of the seats, or of the beds, for a destination."""

    __table_args__ = (UniqueConstraint("destination_id", "kind"), CheckConstraint("free >= 0"))

    id: Mapped[int] = mapped_column(primary_key=True)
    destination_id: Mapped[int] = mapped_column(ForeignKey(Destination.id))
    kind: Mapped[str] = mapped_column(String(10))
    """`flight` or `hotel`."""
    free: Mapped[int]


class Booking(Model):
    """An order. It is committed together with its saga."""

    id: Mapped[int] = mapped_column(primary_key=True)
    destination_id: Mapped[int] = mapped_column(ForeignKey(Destination.id))
    traveller: Mapped[str] = mapped_column(String(100))
    travellers: Mapped[int]
    cents: Mapped[int]
    card_ending: Mapped[str] = mapped_column(String(4))
    """The last four digits: more of the card is kept nowhere."""
    needs_approval: Mapped[bool]
    approved: Mapped[bool | None]
    decided_by: Mapped[str | None] = mapped_column(String(40))
    saga_id: Mapped[str | None] = mapped_column(String(36))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    destination: Mapped[Destination] = relationship(lazy="joined")


class Reservation(Model):
    """Seats or beds that were taken for a booking."""

    id: Mapped[int] = mapped_column(primary_key=True)
    booking_id: Mapped[int] = mapped_column(ForeignKey(Booking.id), index=True)
    offer_id: Mapped[int] = mapped_column(ForeignKey(Offer.id))
    travellers: Mapped[int]
    cancelled: Mapped[bool]


class Payment(Model):
    """What a card was charged."""

    id: Mapped[int] = mapped_column(primary_key=True)
    booking_id: Mapped[int] = mapped_column(ForeignKey(Booking.id), index=True)
    cents: Mapped[int]
    refunded: Mapped[bool]


class Ticket(Model):
    """The paper of one traveller."""

    id: Mapped[int] = mapped_column(primary_key=True)
    booking_id: Mapped[int] = mapped_column(ForeignKey(Booking.id), index=True)


class Note(Model):
    """A line in the diary of a booking, which its page shows."""

    id: Mapped[int] = mapped_column(primary_key=True)
    booking_id: Mapped[int] = mapped_column(ForeignKey(Booking.id), index=True)
    text: Mapped[str] = mapped_column(String(200))


class Voucher(Model):
    """Opens the lounge of the airport for one booking."""

    code: Mapped[str] = mapped_column(String(20), primary_key=True)
    booking_id: Mapped[int | None] = mapped_column(ForeignKey(Booking.id))


class Staff(Model):
    """Who may log in."""

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    is_agent: Mapped[bool]
    """Decides on bookings and operates sagas; a trainee looks."""
