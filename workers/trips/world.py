"""Fill the databases of the services that take part in trips."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from workers.payments import ledger
from workers.reconcile.databases import Databases
from workers.seed import SERVICES
from workers.service.database import open_engine
from workers.service.provision import create_if_missing
from workers.travel_desk import desk
from workers.trips.wanted import Wanted, capacity

TAKE_PART = ("travel", "payments", "notifications")


class UsedBefore(Exception):
    """The database of a service is not empty."""


def fill(databases: Databases, trips: Sequence[Wanted]) -> None:
    """Create the services' tables, and fill them for these trips.

    Raises:
        UsedBefore: a database holds something already.
    """
    for service in TAKE_PART:
        create_if_missing(databases.url(service))
        engine = open_engine(databases.url(service))
        try:
            with engine.begin() as connection:
                _refuse_filled(connection, service)
                SERVICES[service].metadata.create_all(connection)
                _fill(connection, service, trips)
        finally:
            engine.dispose()


def _refuse_filled(connection: Connection, service: str) -> None:
    if connection.dialect.has_table(connection, SERVICES[service].witness.name):
        raise UsedBefore(f"the database of {service} was used before: give an empty one")


def _fill(connection: Connection, service: str, trips: Sequence[Wanted]) -> None:
    if service == "travel":
        for kind, left in capacity(trips).items():
            desk.offer(connection, kind, left)
        desk.deny_visa(connection, (trip.traveller for trip in trips if not trip.visa))
    elif service == "payments":
        ledger.seed(connection, {trip.traveller: trip.credit_cents for trip in trips})
