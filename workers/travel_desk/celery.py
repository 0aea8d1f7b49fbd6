"""The travel desk's Celery application: `celery -A workers.travel_desk worker`."""

from __future__ import annotations

from saga_celery import SagaApp
from workers.service.app import service_app
from workers.service.database import service_engine
from workers.travel_desk import desk

app = service_app("travel")
SagaApp(app)


@app.task(name="travel.book_hotel")
def book_hotel(*, traveller: str, city: str, key: str) -> desk.Booked:
    """Book a room."""
    return desk.book(service_engine("travel"), "hotel", traveller=traveller, city=city, key=key)


@app.task(name="travel.cancel_hotel")
def cancel_hotel(*, booking_id: int, key: str) -> desk.Cancelled:
    """Give a room back."""
    return desk.cancel(service_engine("travel"), "hotel", booking_id=booking_id, key=key)


@app.task(name="travel.book_flight")
def book_flight(*, traveller: str, city: str, key: str) -> desk.Booked:
    """Book a seat."""
    return desk.book(service_engine("travel"), "flight", traveller=traveller, city=city, key=key)


@app.task(name="travel.cancel_flight")
def cancel_flight(*, booking_id: int, key: str) -> desk.Cancelled:
    """Give a seat back."""
    return desk.cancel(service_engine("travel"), "flight", booking_id=booking_id, key=key)


@app.task(name="travel.book_car")
def book_car(*, traveller: str, city: str, key: str) -> desk.Booked:
    """Book a car."""
    return desk.book(service_engine("travel"), "car", traveller=traveller, city=city, key=key)


@app.task(name="travel.cancel_car")
def cancel_car(*, booking_id: int, key: str) -> desk.Cancelled:
    """Give a car back."""
    return desk.cancel(service_engine("travel"), "car", booking_id=booking_id, key=key)


@app.task(name="travel.issue_tickets")
def issue_tickets(*, trip_id: int, traveller: str, booking_ids: list[int], key: str) -> desk.Issued:
    """Issue the papers for a trip."""
    return desk.issue(service_engine("travel"), trip_id=trip_id, traveller=traveller, booking_ids=booking_ids, key=key)
