"""A trip as a saga: a room, a flight and a car side by side, then the payment, itself a saga; all of it or nothing."""

from __future__ import annotations

from typing import TypedDict

from celery.canvas import Signature
from pydantic import BaseModel, ConfigDict

from saga_celery import Child, Retry, Saga, parallel, step

SOLD_OUT = ["workers.travel_desk.SoldOut"]
NO_CREDIT = ["workers.payments.CreditLimitExceeded"]


class Bill(BaseModel):
    """The input of the payment; money in whole cents."""

    model_config = ConfigDict(frozen=True)

    trip_id: int
    traveller: str
    cents: int
    fee_cents: int


class Charge(TypedDict):
    """What the payments service answers."""

    charge_id: int
    cents: int


class Receipt(TypedDict):
    """What was paid, and by which charges."""

    charge_ids: list[int]
    cents: int


class PaymentSaga(Saga[Bill, Receipt]):
    """Take the price of the trip and the desk's fee: both, or none of them."""

    name = "travel.payment"

    @step(retry=Retry(attempts=5), fatal=NO_CREDIT, timeout=10)
    def price(self, bill: Bill) -> Signature[Charge]:
        """Charge what the trip costs."""
        return self.task(
            "payments.charge", customer_id=bill.traveller, order_id=bill.trip_id, cents=bill.cents, key=self.key()
        )

    @price.compensate(retry=Retry(attempts=20), timeout=10)
    def refund_price(self, bill: Bill, price: Charge) -> Signature[None]:
        """Give it back."""
        return self.task("payments.refund", charge_id=price["charge_id"], key=self.key())

    @step(retry=Retry(attempts=5), fatal=NO_CREDIT, timeout=10)
    def fee(self, bill: Bill) -> Signature[Charge]:
        """Charge what the desk takes for its work."""
        return self.task(
            "payments.charge", customer_id=bill.traveller, order_id=bill.trip_id, cents=bill.fee_cents, key=self.key()
        )

    @fee.compensate(retry=Retry(attempts=20), timeout=10)
    def refund_fee(self, bill: Bill, fee: Charge) -> Signature[None]:
        """Give it back."""
        return self.task("payments.refund", charge_id=fee["charge_id"], key=self.key())

    def result(self, bill: Bill, price: Charge, fee: Charge) -> Receipt:
        """Both charges."""
        return Receipt(charge_ids=[price["charge_id"], fee["charge_id"]], cents=price["cents"] + fee["cents"])


class Trip(BaseModel):
    """The input of the saga; money in whole cents."""

    model_config = ConfigDict(frozen=True)

    id: int
    traveller: str
    city: str
    cents: int
    fee_cents: int


class Booking(TypedDict):
    """What the travel desk answers."""

    booking_id: int


class Ticket(TypedDict):
    """What the travel desk answers when all is booked and paid."""

    ticket_id: int


class Confirmation(TypedDict):
    """What the notifications service answers."""

    sent: bool


class TripSaga(Saga[Trip, list[int]]):
    """Book a trip; the result is the ids of its bookings."""

    name = "travel.trip"

    with parallel():

        @step(retry=Retry(attempts=5), fatal=SOLD_OUT, timeout=10)
        def hotel(self, trip: Trip) -> Signature[Booking]:
            """Book a room."""
            return self.task("travel.book_hotel", traveller=trip.traveller, city=trip.city, key=self.key())

        @hotel.compensate(retry=Retry(attempts=20), timeout=10)
        def cancel_hotel(self, trip: Trip, hotel: Booking) -> Signature[None]:
            """Give the room back."""
            return self.task("travel.cancel_hotel", booking_id=hotel["booking_id"], key=self.key())

        @step(retry=Retry(attempts=5), fatal=SOLD_OUT, timeout=10)
        def flight(self, trip: Trip) -> Signature[Booking]:
            """Book a seat."""
            return self.task("travel.book_flight", traveller=trip.traveller, city=trip.city, key=self.key())

        @flight.compensate(retry=Retry(attempts=20), timeout=10)
        def cancel_flight(self, trip: Trip, flight: Booking) -> Signature[None]:
            """Give the seat back."""
            return self.task("travel.cancel_flight", booking_id=flight["booking_id"], key=self.key())

        @step(retry=Retry(attempts=5), fatal=SOLD_OUT, timeout=10)
        def car(self, trip: Trip) -> Signature[Booking]:
            """Book a car."""
            return self.task("travel.book_car", traveller=trip.traveller, city=trip.city, key=self.key())

        @car.compensate(retry=Retry(attempts=20), timeout=10)
        def cancel_car(self, trip: Trip, car: Booking) -> Signature[None]:
            """Give the car back."""
            return self.task("travel.cancel_car", booking_id=car["booking_id"], key=self.key())

    @step()
    def payment(self, trip: Trip) -> Child[Receipt]:
        """Pay, by a saga of its own; it is undone as a whole."""
        bill = Bill(trip_id=trip.id, traveller=trip.traveller, cents=trip.cents, fee_cents=trip.fee_cents)
        return PaymentSaga.si(bill)

    @step(pivot=True, retry=Retry(attempts=10), fatal=["workers.travel_desk.VisaDenied"], timeout=10)
    def tickets(self, trip: Trip, hotel: Booking, flight: Booking, car: Booking) -> Signature[Ticket]:
        """Issue the papers: the point of no return."""
        booking_ids = [booking["booking_id"] for booking in (hotel, flight, car)]
        return self.task(
            "travel.issue_tickets",
            trip_id=trip.id,
            traveller=trip.traveller,
            booking_ids=booking_ids,
            key=self.key(),
        )

    @step(retry=Retry(attempts=20), timeout=10)
    def confirm(self, trip: Trip) -> Signature[Confirmation]:
        """Tell the traveller."""
        return self.task("notifications.confirm", order_id=trip.id, customer_id=trip.traveller, key=self.key())

    def result(self, trip: Trip, hotel: Booking, flight: Booking, car: Booking) -> list[int]:
        """The bookings, in the order in which they are written above."""
        return [booking["booking_id"] for booking in (hotel, flight, car)]
