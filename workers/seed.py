"""Create and fill the databases of the services, once, before their workers start: `python -m workers.seed`.

A service that has its tables filled is left as it is, so the command may run at every start of a deployment.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, MetaData, Table, func, select

from workers.catalogue import northwind
from workers.inventory import stock
from workers.notifications import outbox
from workers.payments import ledger
from workers.service.database import open_engine
from workers.service.provision import create_if_missing
from workers.settings import settings
from workers.shipping import dock
from workers.travel_desk import desk

DEFAULT_STOCK_FACTOR = 30
"""With the stock as given, one order in nine can be filled; with this much, about half of them."""

CREDIT_SHARE_PERCENT = 75
"""A customer's credit limit, as a share of the turnover of all orders that this customer ever placed."""

TRAVEL_CAPACITY = {"Lisbon": 40, "London": 25, "Berlin": 10}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The tables of a service, and how they are filled."""

    metadata: MetaData
    fill: Callable[[Connection, int], None]
    witness: Table
    """A row in this table shows that the service was filled before."""


def seed(service: str, url: str, *, stock_factor: int = DEFAULT_STOCK_FACTOR) -> bool:
    """Create and fill the database of `service`; False when it was filled before."""
    create_if_missing(url)
    plan = SERVICES[service]
    engine = open_engine(url)
    try:
        plan.metadata.create_all(engine)
        with engine.begin() as connection:
            if connection.execute(select(func.count()).select_from(plan.witness)).scalar_one():
                return False
            plan.fill(connection, stock_factor)
            return True
    finally:
        engine.dispose()


def credit_limits() -> dict[str, int]:
    """The credit limit of each customer in cents; who never ordered has none."""
    turnover = northwind().turnover()
    return {
        customer.id: turnover.get(customer.id, 0) * CREDIT_SHARE_PERCENT // 100 for customer in northwind().customers
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Seed the services that are named on the command line, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m workers.seed", description=__doc__)
    parser.add_argument("services", nargs="*", metavar="SERVICE", help=f"of {', '.join(SERVICES)}; all by default")
    parser.add_argument("--stock-factor", type=int, default=DEFAULT_STOCK_FACTOR, help="default: %(default)s")
    options = parser.parse_args(arguments)
    if unknown := set(options.services) - set(SERVICES):
        parser.error(f"no such service: {', '.join(sorted(unknown))}")
    for service in options.services or SERVICES:
        filled = seed(service, settings().service_database_url(service), stock_factor=options.stock_factor)
        print(f"{service}: {'seeded' if filled else 'was seeded before, left as it is'}")


def _inventory(connection: Connection, stock_factor: int) -> None:
    stock.seed(connection, northwind().products, stock_factor)


def _payments(connection: Connection, _stock_factor: int) -> None:
    ledger.seed(connection, credit_limits())


def _shipping(connection: Connection, _stock_factor: int) -> None:
    dock.seed(connection, (order.id for order in northwind().orders if not order.shipped))


def _notifications(_connection: Connection, _stock_factor: int) -> None:
    """Nothing has been confirmed yet."""


def _travel(connection: Connection, _stock_factor: int) -> None:
    desk.seed(connection, TRAVEL_CAPACITY)


SERVICES: Mapping[str, Service] = {
    "inventory": Service(metadata=stock.metadata, fill=_inventory, witness=stock.stock),
    "payments": Service(metadata=ledger.metadata, fill=_payments, witness=ledger.credit),
    "shipping": Service(metadata=dock.metadata, fill=_shipping, witness=dock.unshippable),
    "notifications": Service(metadata=outbox.metadata, fill=_notifications, witness=outbox.confirmation),
    "travel": Service(metadata=desk.metadata, fill=_travel, witness=desk.OFFERS["hotel"]),
}

if __name__ == "__main__":
    main()
