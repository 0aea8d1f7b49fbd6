"""What the workers do for a booking. Every effect is a row of the agency's own, written behind a barrier: once."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from celery import shared_task
from flask import current_app
from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from saga_celery import barrier
from workers.agency.database import db
from workers.agency.models import Booking, Note, Offer, Payment, Reservation, Ticket

P = ParamSpec("P")
R = TypeVar("R")

DECLINED = "0002"
"""The bank of the agency declines cards that end like this."""


class SoldOut(Exception):
    """As many seats, or beds, are not left."""


class CardDeclined(Exception):
    """The bank pays nothing for this card."""


def in_their_time(task: Callable[P, R]) -> Callable[P, R]:
    """Let a task take `PACE` seconds, as airlines and banks do; a transaction must not wait for them, so before it."""

    @wraps(task)
    def slowed(*args: P.args, **kwargs: P.kwargs) -> R:
        time.sleep(current_app.config["PACE"])
        return task(*args, **kwargs)

    return slowed


@shared_task(name="agency.reserve")
@in_their_time
@barrier(db.session, fatal=(SoldOut,))
def reserve(session: Session, booking_id: int, kind: str) -> int:
    """Take seats (`flight`) or beds (`hotel`) for all travellers of a booking; the id of the reservation.

    Raises:
        SoldOut: there are not enough.
    """
    booking = session.get_one(Booking, booking_id)
    offer = session.scalars(select(Offer).filter_by(destination_id=booking.destination_id, kind=kind)).one()
    if not _move(session, offer.id, -booking.travellers):
        raise SoldOut(f"{booking.destination.city} has no {kind} for {booking.travellers} any more")
    reservation = Reservation(booking_id=booking.id, offer_id=offer.id, travellers=booking.travellers, cancelled=False)
    session.add(reservation)
    _note(session, booking.id, f"{kind.capitalize()} to {booking.destination.city} booked")
    session.flush()
    return reservation.id


@shared_task(name="agency.cancel_reservation")
@in_their_time
@barrier(db.session)
def cancel_reservation(session: Session, reservation_id: int) -> None:
    """Give the seats or beds back."""
    reservation = session.get_one(Reservation, reservation_id)
    offer = session.get_one(Offer, reservation.offer_id)
    _move(session, offer.id, +reservation.travellers)
    reservation.cancelled = True
    _note(session, reservation.booking_id, f"{offer.kind.capitalize()} cancelled")


@shared_task(name="agency.charge")
@in_their_time
@barrier(db.session, fatal=(CardDeclined,))
def charge(session: Session, booking_id: int) -> int:
    """Charge the card of a booking; the id of the payment.

    Raises:
        CardDeclined: by the bank.
    """
    booking = session.get_one(Booking, booking_id)
    if booking.card_ending == DECLINED:
        raise CardDeclined(f"the card that ends in {booking.card_ending} was declined")
    payment = Payment(booking_id=booking.id, cents=booking.cents, refunded=False)
    session.add(payment)
    _note(session, booking.id, "Card charged")
    session.flush()
    return payment.id


@shared_task(name="agency.refund")
@in_their_time
@barrier(db.session)
def refund(session: Session, payment_id: int) -> None:
    """Give the money back."""
    payment = session.get_one(Payment, payment_id)
    payment.refunded = True
    _note(session, payment.booking_id, "Money given back")


@shared_task(name="agency.issue_tickets")
@in_their_time
@barrier(db.session)
def issue_tickets(session: Session, booking_id: int) -> list[int]:
    """One for each traveller; their numbers."""
    booking = session.get_one(Booking, booking_id)
    tickets = [Ticket(booking_id=booking.id) for _ in range(booking.travellers)]
    session.add_all(tickets)
    _note(session, booking.id, "Tickets issued")
    session.flush()
    return [ticket.id for ticket in tickets]


def _move(session: Session, offer_id: int, by: int) -> bool:
    enough = (Offer.id == offer_id, Offer.free + by >= 0)
    moved = session.execute(update(Offer).where(*enough).values(free=Offer.free + by))
    return cast("CursorResult[object]", moved).rowcount > 0


def _note(session: Session, booking_id: int, text: str) -> None:
    session.add(Note(booking_id=booking_id, text=text))
