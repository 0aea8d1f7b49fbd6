"""The travel desk: hotel rooms, flight seats and rental cars."""

from __future__ import annotations

from workers.service.request import Refusal


class SoldOut(Refusal):
    """Nothing of this kind is left for this city."""


class VisaDenied(Refusal):
    """This traveller is not let in, so nothing is issued."""


class UnknownBooking(Exception):
    """There is no booking of this kind and id."""
