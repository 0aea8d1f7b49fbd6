"""Charge and refund customers; every movement is two ledger rows that sum to zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    insert,
    select,
    update,
)

from workers.payments import CreditLimitExceeded, UnknownCharge
from workers.service.database import insert_row
from workers.service.request import once, request

SHOP = "shop"

metadata = MetaData()
request.to_metadata(metadata)

credit = Table(
    "credit",
    metadata,
    Column("customer_id", String(10), primary_key=True),
    Column("limit_cents", BigInteger, nullable=False),
    Column("used_cents", BigInteger, nullable=False),
)
charges = Table(
    "charge",
    metadata,
    Column("charge_id", Integer, primary_key=True),
    Column("order_id", Integer, nullable=False, index=True),
    Column("customer_id", ForeignKey("credit.customer_id"), nullable=False),
    Column("cents", BigInteger, nullable=False),
    Column("refunded", Boolean, nullable=False),
)
ledger = Table(
    "ledger",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account", String(30), nullable=False),
    Column("charge_id", ForeignKey("charge.charge_id"), nullable=False, index=True),
    Column("cents", BigInteger, nullable=False),
    Column("kind", String(10), nullable=False),
)


class Charged(TypedDict):
    """The answer to `payments.charge`."""

    charge_id: int
    cents: int


class Refunded(TypedDict):
    """The answer to `payments.refund`."""

    refunded: bool


def charge(engine: Engine, *, customer_id: str, order_id: int, cents: int, key: str) -> Charged:
    """Charge the customer, within the credit limit."""

    def effect(connection: Connection) -> Charged:
        _use_credit(connection, customer_id, cents)
        charge_id = _record(connection, customer_id, order_id, cents)
        _post(connection, charge_id, "charge", debit=account(customer_id), to=SHOP, cents=cents)
        return Charged(charge_id=charge_id, cents=cents)

    return once(engine, key, "charge", {"customer_id": customer_id, "order_id": order_id, "cents": cents}, effect)


def refund(engine: Engine, *, charge_id: int, key: str) -> Refunded:
    """Give a charge back; refunding it a second time changes nothing."""

    def effect(connection: Connection) -> Refunded:
        closed = _close(connection, charge_id)
        if closed is not None:
            customer_id, cents = closed
            _use_credit(connection, customer_id, -cents)
            _post(connection, charge_id, "refund", debit=SHOP, to=account(customer_id), cents=cents)
        return Refunded(refunded=True)

    return once(engine, key, "refund", {"charge_id": charge_id}, effect)


def account(customer_id: str) -> str:
    """The ledger account of a customer."""
    return f"customer:{customer_id}"


def seed(connection: Connection, limits: Mapping[str, int]) -> None:
    """Grant each customer a credit limit in cents."""
    connection.execute(
        insert(credit),
        [{"customer_id": customer, "limit_cents": cents, "used_cents": 0} for customer, cents in limits.items()],
    )


def _use_credit(connection: Connection, customer_id: str, cents: int) -> None:
    used = connection.execute(
        update(credit)
        .where(credit.c.customer_id == customer_id, credit.c.used_cents + cents <= credit.c.limit_cents)
        .values(used_cents=credit.c.used_cents + cents)
    )
    if used.rowcount == 0:
        raise CreditLimitExceeded(f"customer {customer_id}: {cents} cents more would exceed the credit limit")


def _record(connection: Connection, customer_id: str, order_id: int, cents: int) -> int:
    return insert_row(connection, charges, customer_id=customer_id, order_id=order_id, cents=cents, refunded=False)


def _post(connection: Connection, charge_id: int, kind: str, *, debit: str, to: str, cents: int) -> None:
    connection.execute(
        insert(ledger),
        [
            {"account": debit, "charge_id": charge_id, "cents": -cents, "kind": kind},
            {"account": to, "charge_id": charge_id, "cents": cents, "kind": kind},
        ],
    )


def _close(connection: Connection, charge_id: int) -> tuple[str, int] | None:
    """Mark the charge as refunded and tell whose it was and how much; None when it was refunded before."""
    closed = connection.execute(
        update(charges).where(charges.c.charge_id == charge_id, charges.c.refunded.is_(False)).values(refunded=True)
    )
    row = connection.execute(
        select(charges.c.customer_id, charges.c.cents).where(charges.c.charge_id == charge_id)
    ).first()
    if row is None:
        raise UnknownCharge(f"no charge {charge_id}")
    return (row[0], row[1]) if closed.rowcount else None
