"""Confirm orders to their customers; a row stands for the letter."""

from __future__ import annotations

from typing import TypedDict

from sqlalchemy import Column, Connection, Engine, Integer, MetaData, String, Table, insert

from workers.service.request import once, request

metadata = MetaData()
request.to_metadata(metadata)

confirmation = Table(
    "confirmation",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("order_id", Integer, nullable=False, index=True),
    Column("customer_id", String(10), nullable=False),
)


class Sent(TypedDict):
    """The answer to `notifications.confirm`."""

    sent: bool


def confirm(engine: Engine, *, order_id: int, customer_id: str, key: str) -> Sent:
    """Tell the customer that the order is on its way."""

    def effect(connection: Connection) -> Sent:
        connection.execute(insert(confirmation).values(order_id=order_id, customer_id=customer_id))
        return Sent(sent=True)

    return once(engine, key, "confirm", {"order_id": order_id, "customer_id": customer_id}, effect)
