"""Hand orders to a carrier, and call shipments back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from sqlalchemy import Boolean, Column, Connection, Engine, Integer, MetaData, Table, insert, select, update

from workers.service.database import insert_row
from workers.service.request import once, request
from workers.shipping import NeverShipped, UnknownShipment

metadata = MetaData()
request.to_metadata(metadata)

unshippable = Table("unshippable", metadata, Column("order_id", Integer, primary_key=True, autoincrement=False))
shipment = Table(
    "shipment",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("order_id", Integer, nullable=False, index=True),
    Column("shipper_id", Integer, nullable=False),
    Column("cancelled", Boolean, nullable=False),
)


class Shipped(TypedDict):
    """The answer to `shipping.ship`."""

    shipment_id: int


class Cancelled(TypedDict):
    """The answer to `shipping.cancel_shipment`."""

    cancelled: bool


def ship(engine: Engine, *, order_id: int, shipper_id: int, key: str) -> Shipped:
    """Hand the order to the carrier, unless no carrier takes it."""

    def effect(connection: Connection) -> Shipped:
        if connection.execute(select(unshippable).where(unshippable.c.order_id == order_id)).first():
            raise NeverShipped(f"no carrier takes order {order_id}")
        shipment_id = insert_row(connection, shipment, order_id=order_id, shipper_id=shipper_id, cancelled=False)
        return Shipped(shipment_id=shipment_id)

    return once(engine, key, "ship", {"order_id": order_id, "shipper_id": shipper_id}, effect)


def cancel_shipment(engine: Engine, *, shipment_id: int, key: str) -> Cancelled:
    """Call a shipment back; a second time changes nothing."""

    def effect(connection: Connection) -> Cancelled:
        called_back = connection.execute(update(shipment).where(shipment.c.id == shipment_id).values(cancelled=True))
        if called_back.rowcount == 0:
            raise UnknownShipment(f"no shipment {shipment_id}")
        return Cancelled(cancelled=True)

    return once(engine, key, "cancel_shipment", {"shipment_id": shipment_id}, effect)


def seed(connection: Connection, order_ids: Iterable[int]) -> None:
    """Name the orders that no carrier takes."""
    connection.execute(insert(unshippable), [{"order_id": order_id} for order_id in order_ids])
