"""The Northwind catalogue is read whole, and to the cent."""

from __future__ import annotations

from decimal import Decimal

import pytest

from workers.catalogue import cents, northwind
from workers.settings import Settings


def test_everything_is_read() -> None:
    shop = northwind()
    assert (len(shop.products), len(shop.customers), len(shop.shippers), len(shop.orders)) == (77, 91, 3, 830)
    assert sum(len(order.lines) for order in shop.orders) == 2155
    assert sum(not order.shipped for order in shop.orders) == 21


def test_an_order_costs_its_lines_and_its_freight() -> None:
    first = northwind().orders[0]
    assert (first.id, first.customer_id, first.shipper_id, first.freight_cents) == (10248, "VINET", 3, 3238)
    assert first.units == {11: 12, 42: 10, 72: 5}
    assert first.total_cents == 16800 + 9800 + 17400 + 3238


def test_orders_name_known_products_customers_and_shippers() -> None:
    shop = northwind()
    products, customers = {row.id for row in shop.products}, {row.id for row in shop.customers}
    for order in shop.orders:
        assert order.lines
        assert set(order.units) <= products
        assert order.customer_id in customers
        assert order.shipper_id in {shipper.id for shipper in shop.shippers}


@pytest.mark.parametrize(("dollars", "expected"), [("1.005", 101), ("1.004", 100), ("0.125", 13), ("10", 1000)])
def test_cents_are_rounded_half_up(dollars: str, expected: int) -> None:
    assert cents(Decimal(dollars)) == expected


def test_each_service_gets_a_database_of_its_own() -> None:
    defaults = Settings.of({})
    assert defaults.service_database_url("payments") == "sqlite:///payments.db"
    shared = Settings.of({"SERVICE_DATABASE_URL": "postgresql+psycopg://db/shop_{service}"})
    assert shared.service_database_url("inventory") == "postgresql+psycopg://db/shop_inventory"
