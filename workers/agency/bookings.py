"""The pages of the bookings: the form, what becomes of it, and the agents' desk."""

from __future__ import annotations

from flask import Blueprint, abort, current_app, flash, g, jsonify, redirect, render_template, session, url_for
from sqlalchemy import CursorResult, select, update
from werkzeug.wrappers import Response

from saga_celery import EventConflict, Refused
from workers.agency.database import db
from workers.agency.forms import BookingForm, DecisionForm
from workers.agency.journey import journey_of
from workers.agency.models import Booking, Destination, Offer, Voucher
from workers.agency.sagas import Decision, Trip, TripSaga
from workers.agency.staff import agents_only

pages = Blueprint("bookings", __name__)

REMEMBERED = 20
"""Bookings that a browser may come back to."""


class NotBooked(Exception):
    """Nothing is kept of this booking. Carries the field of the form that is to blame, and what to say there."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


# ---------------------------------------------------------------------------------------------------------- customers


@pages.route("/", methods=["GET", "POST"])
def new() -> Response | str | tuple[str, int]:
    """The form; a booking and its saga are committed together, or neither is."""
    offers = _offers()
    form = BookingForm()
    form.destination.choices = [(place.id, place.city) for place, _ in offers]
    if form.validate_on_submit():
        try:
            booking = book(form)
            db.session.commit()
        except NotBooked as refused:
            db.session.rollback()  # of the booking, and of the saga that was started for it
            form[refused.field].errors = [str(refused)]
        else:
            session["bookings"] = [*session.get("bookings", []), booking.id][-REMEMBERED:]
            return redirect(url_for("bookings.show", booking_id=booking.id))
    limit = current_app.config["APPROVAL_FROM_CENTS"]
    return render_template("new.html", form=form, offers=offers, limit=limit), 422 if form.errors else 200


def book(form: BookingForm) -> Booking:
    """Write a booking and start its saga in the session's transaction, which the caller commits.

    Raises:
        NotBooked: the caller rolls back.
    """
    place = db.session.get_one(Destination, form.destination.data)
    if free_seats(place) < form.travellers.data:  # as it looks now; what counts is decided when the seats are taken
        raise NotBooked("travellers", "So many seats are not left.")
    cents = place.cents * form.travellers.data
    booking = Booking(
        destination_id=place.id,
        traveller=form.traveller.data,
        travellers=form.travellers.data,
        cents=cents,
        card_ending=form.card.data.replace(" ", "")[-4:],
        needs_approval=cents >= current_app.config["APPROVAL_FROM_CENTS"],
    )
    db.session.add(booking)
    db.session.flush()
    trip = Trip(booking_id=booking.id, needs_approval=booking.needs_approval)
    booking.saga_id = TripSaga.start(trip, key=f"booking-{booking.id}", session=db.session).id
    if form.voucher.data:
        redeem(form.voucher.data, booking)
    return booking


def free_seats(place: Destination) -> int:
    """How many seats are left at the moment."""
    return db.session.scalars(select(Offer.free).filter_by(destination_id=place.id, kind="flight")).one()


def redeem(code: str, booking: Booking) -> None:
    """Use a voucher up for a booking.

    Raises:
        NotBooked: it does not exist, or was used before.
    """
    unused = (Voucher.code == code, Voucher.booking_id.is_(None))
    taken = db.session.execute(update(Voucher).where(*unused).values(booking_id=booking.id))
    if not isinstance(taken, CursorResult) or taken.rowcount != 1:
        raise NotBooked("voucher", "This voucher is not valid, or was used before.")


@pages.get("/bookings/<int:booking_id>")
def show(booking_id: int) -> str:
    """A booking, live."""
    booking = _seen(booking_id)
    return render_template("booking.html", booking=booking, journey=journey_of(booking), form=DecisionForm())


@pages.get("/bookings/<int:booking_id>/journey")
def journey(booking_id: int) -> Response:
    """What its page asks for again and again."""
    answer = jsonify(journey_of(_seen(booking_id)).as_json())
    answer.headers["Cache-Control"] = "no-store"
    return answer


# -------------------------------------------------------------------------------------------------------------- agents


@pages.get("/desk")
@agents_only
def desk() -> str:
    """The bookings that need an agent's word, the oldest first."""
    undecided = select(Booking).where(Booking.needs_approval, Booking.approved.is_(None)).order_by(Booking.id)
    waiting = [each for each in db.session.scalars(undecided) if journey_of(each).awaits_approval]
    return render_template("desk.html", bookings=waiting)


@pages.post("/bookings/<int:booking_id>/decision")
@agents_only
def decide(booking_id: int) -> Response:
    """Approve or reject; the row and the answer to the saga are committed together."""
    form = DecisionForm()
    if not form.validate_on_submit() or form.approve.data == form.reject.data:
        abort(400)
    booking = db.get_or_404(Booking, booking_id)
    decision = Decision(ok=form.approve.data, by=g.staff.name)
    booking.approved, booking.decided_by = decision.ok, decision.by
    try:
        TripSaga.approval.send(
            str(booking.saga_id), decision, event_id="decision", actor=decision.by, session=db.session
        )
        db.session.commit()
    except (EventConflict, Refused):
        db.session.rollback()
        flash("This booking was decided on before, or has ended.")
    return redirect(url_for("bookings.show", booking_id=booking_id))


def _offers() -> list[tuple[Destination, int]]:
    seats = select(Destination, Offer.free).join(Offer).where(Offer.kind == "flight").order_by(Destination.cents)
    return [(place, free) for place, free in db.session.execute(seats)]


def _seen(booking_id: int) -> Booking:
    """A booking, for the browser that made it and for the staff; to others it does not exist."""
    if g.staff is None and booking_id not in session.get("bookings", []):
        abort(404)
    return db.get_or_404(Booking, booking_id)
