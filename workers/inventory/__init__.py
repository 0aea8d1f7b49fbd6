"""The inventory service: stock on the shelves, and reservations taken from it."""

from __future__ import annotations

from workers.service.request import Refusal


class OutOfStock(Refusal):
    """Fewer units are on the shelf than ordered."""


class Discontinued(Refusal):
    """The product is no longer sold."""


class UnknownReservation(Exception):
    """There is no reservation of this id."""
