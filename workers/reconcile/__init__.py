"""Reconciliation: do stock, money and shipments balance against the states of the sagas?

It trusts no word of the saga runner: it reads the tables of the services and the `saga` table by SQL, and holds them
against the catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence

from workers.catalogue import Order
from workers.reconcile.books import read_books
from workers.reconcile.checks import CHECKS
from workers.reconcile.databases import Databases
from workers.reconcile.report import Check, Report


def reconcile(databases: Databases, orders: Sequence[Order]) -> Report:
    """Compare the books of all services with the sagas of `orders`."""
    books = read_books(databases, orders)
    return Report(
        states=books.count_states(),
        refusals=books.refusals,
        failed=tuple(saga.key for saga in books.sagas if saga.state == "FAILED"),
        checks=tuple(Check(name=name, differences=tuple(check(books))) for name, check in CHECKS.items()),
    )
