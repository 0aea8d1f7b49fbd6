"""The shipping service: shipments handed to a carrier."""

from __future__ import annotations

from workers.service.request import Refusal


class NeverShipped(Refusal):
    """No carrier takes this order."""


class UnknownShipment(Exception):
    """There is no shipment of this id."""
