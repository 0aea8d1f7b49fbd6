"""Spoil exactly one thing in one service's books, to show that the reconciliation finds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Boolean, Connection, column, delete, insert, select, table, update

from workers.reconcile.books import KEY_PREFIX
from workers.reconcile.databases import SAGA, Databases

saga = table("saga", column("id"), column("key"), column("state"))
charge = table(
    "charge",
    column("charge_id"),
    column("order_id"),
    column("customer_id"),
    column("cents"),
    column("refunded", Boolean),
)
ledger = table("ledger", column("account"), column("charge_id"), column("cents"), column("kind"))
shipment = table("shipment", column("order_id"), column("shipper_id"), column("cancelled", Boolean))


class NothingToSpoil(Exception):
    """The run left nothing that this sabotage could spoil."""


def spoil(kind: str, databases: Databases) -> str:
    """Carry out the sabotage `kind`, and say what was done."""
    return SABOTAGES[kind](databases)


def lose_refund(databases: Databases) -> str:
    """Make a refund undone: the money is taken, and the customer gets nothing."""
    with databases.open("payments") as connection:
        refunded = connection.execute(select(charge).where(charge.c.refunded.is_(True))).mappings().first()
        if refunded is None:
            raise NothingToSpoil("no charge was refunded in this run, so no refund can be lost")
        mine = ledger.c.charge_id == refunded["charge_id"]
        connection.execute(delete(ledger).where(mine, ledger.c.kind == "refund"))
        connection.execute(update(charge).where(charge.c.charge_id == refunded["charge_id"]).values(refunded=False))
        return f"the refund of charge {refunded['charge_id']} (order {refunded['order_id']}) is lost"


def charge_twice(databases: Databases) -> str:
    """Charge a completed order a second time, ledger entries and all."""
    order_id = _an_order(databases, "COMPLETED")
    with databases.open("payments") as connection:
        first = connection.execute(select(charge).where(charge.c.order_id == order_id)).mappings().one()
        second = connection.execute(select(charge.c.charge_id).order_by(charge.c.charge_id.desc())).scalars().first()
        number = int(second or 0) + 1
        connection.execute(insert(charge).values({**first, "charge_id": number}))
        _post(connection, number, f"customer:{first['customer_id']}", -first["cents"])
        _post(connection, number, "shop", first["cents"])
        return f"order {order_id} is charged a second time"


def ship_ghost(databases: Databases) -> str:
    """Ship an order whose saga was compensated."""
    order_id = _an_order(databases, "COMPENSATED")
    with databases.open("shipping") as connection:
        connection.execute(insert(shipment).values(order_id=order_id, shipper_id=1, cancelled=False))
    return f"order {order_id} was compensated, and is shipped all the same"


def lose_saga(databases: Databases) -> str:
    """Delete a saga, as if its start had never been recorded."""
    order_id = _an_order(databases, "COMPLETED")
    with databases.open(SAGA) as connection:
        connection.execute(delete(saga).where(saga.c.key == f"{KEY_PREFIX}{order_id}"))
    return f"the saga of order {order_id} is lost"


SABOTAGES: Mapping[str, Callable[[Databases], str]] = {
    "lost-refund": lose_refund,
    "double-charge": charge_twice,
    "ghost-shipment": ship_ghost,
    "lost-saga": lose_saga,
}


def _an_order(databases: Databases, state: str) -> int:
    with databases.open(SAGA) as connection:
        key = connection.execute(
            select(saga.c.key).where(saga.c.state == state, saga.c.key.like(f"{KEY_PREFIX}%")).order_by(saga.c.key)
        ).scalar()
    if key is None:
        raise NothingToSpoil(f"no saga of this run is {state}, so there is nothing to spoil")
    return int(str(key).removeprefix(KEY_PREFIX))


def _post(connection: Connection, charge_id: int, account: str, cents: int) -> None:
    connection.execute(insert(ledger).values(account=account, charge_id=charge_id, cents=cents, kind="charge"))
