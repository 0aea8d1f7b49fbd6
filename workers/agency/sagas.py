"""A trip as a saga: flight and hotel side by side, an approval where it is dear, then the card, then the tickets."""

from __future__ import annotations

from datetime import timedelta

from celery.canvas import Signature
from pydantic import BaseModel, ConfigDict

from saga_celery import SKIP, Abort, Retry, Saga, Skip, parallel, step, wait_for
from workers.agency import tasks


class Trip(BaseModel):
    """The input of the saga; everything else is in the row of the booking."""

    model_config = ConfigDict(frozen=True)

    booking_id: int
    needs_approval: bool


class Decision(BaseModel):
    """What an agent says of an expensive trip."""

    model_config = ConfigDict(frozen=True)

    ok: bool
    by: str


class TripSaga(Saga[Trip, list[int]]):
    """Book and pay a trip, or nothing of it; the result is the numbers of the tickets."""

    name = "agency.trip"

    with parallel():

        @step(idempotent=True, retry=Retry(attempts=5), fatal=[tasks.SoldOut])
        def flight(self, trip: Trip) -> Signature[int]:
            """Take the seats."""
            return tasks.reserve.si(trip.booking_id, "flight")

        @flight.compensate
        def cancel_flight(self, trip: Trip, flight: int) -> Signature[None]:
            """Give them back."""
            return tasks.cancel_reservation.si(flight)

        @step(idempotent=True, retry=Retry(attempts=5), fatal=[tasks.SoldOut])
        def hotel(self, trip: Trip) -> Signature[int]:
            """Take the beds."""
            return tasks.reserve.si(trip.booking_id, "hotel")

        @hotel.compensate
        def cancel_hotel(self, trip: Trip, hotel: int) -> Signature[None]:
            """Give them back."""
            return tasks.cancel_reservation.si(hotel)

    @wait_for(Decision, timeout=timedelta(days=2))
    def approval(self, trip: Trip) -> Skip | None:
        """An agent looks at what is expensive."""
        return None if trip.needs_approval else SKIP

    @step(idempotent=True, retry=Retry(attempts=5), fatal=[tasks.CardDeclined])
    def payment(self, trip: Trip, approval: Decision | None) -> Signature[int]:
        """Charge the card."""
        if approval and not approval.ok:
            raise Abort(f"refused by {approval.by}")
        return tasks.charge.si(trip.booking_id)

    @payment.compensate
    def refund(self, trip: Trip, payment: int) -> Signature[None]:
        """Give the money back."""
        return tasks.refund.si(payment)

    @step(pivot=True, idempotent=True, retry=Retry(attempts=10))
    def tickets(self, trip: Trip) -> Signature[list[int]]:
        """From here on there is no way back."""
        return tasks.issue_tickets.si(trip.booking_id)

    def result(self, trip: Trip, tickets: list[int]) -> list[int]:
        """The numbers of the tickets."""
        return tickets
