"""All Northwind orders by hand: the services, the books they keep, and the reconciliation that reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from workers.catalogue import Order, northwind
from workers.inventory import stock
from workers.notifications import outbox
from workers.payments import ledger
from workers.reconcile import reconcile
from workers.reconcile.__main__ import main
from workers.reconcile.databases import Databases
from workers.sabotage import SABOTAGES, NothingToSpoil, spoil
from workers.seed import seed
from workers.service.database import open_engine
from workers.service.request import Refusal
from workers.shipping import dock

SERVICES = ("inventory", "payments", "shipping", "notifications")


def fulfil(engines: dict[str, Engine], order: Order) -> str:
    """Do what the order saga does, forwards or backwards, and answer the state it ends in."""
    number = order.id
    undo: list[Callable[[], object]] = []
    try:
        reserved = stock.reserve(
            engines["inventory"], order_id=number, lines=list(order.units.items()), key=f"{number}/reserve"
        )
        undo.append(
            lambda: stock.release(
                engines["inventory"], reservation_id=reserved["reservation_id"], key=f"{number}/release"
            )
        )
        charged = ledger.charge(
            engines["payments"],
            customer_id=order.customer_id,
            order_id=number,
            cents=order.total_cents,
            key=f"{number}/pay",
        )
        undo.append(lambda: ledger.refund(engines["payments"], charge_id=charged["charge_id"], key=f"{number}/refund"))
        dock.ship(engines["shipping"], order_id=number, shipper_id=order.shipper_id, key=f"{number}/ship")
    except Refusal:
        for compensation in reversed(undo):
            compensation()
        return "COMPENSATED"
    outbox.confirm(engines["notifications"], order_id=number, customer_id=order.customer_id, key=f"{number}/confirm")
    return "COMPLETED"


def run(databases: Databases, orders: tuple[Order, ...]) -> Counter[str]:
    """Seed the services, fulfil `orders` one by one, and write down the sagas."""
    for service in SERVICES:
        seed(service, databases.url(service))
    engines = {service: open_engine(databases.url(service)) for service in SERVICES}
    states = {order.id: fulfil(engines, order) for order in orders}
    with databases.open("saga") as connection:
        connection.execute(text("CREATE TABLE saga (id INTEGER PRIMARY KEY, name TEXT, key TEXT, state TEXT)"))
        for order_id, state in states.items():
            connection.execute(
                text("INSERT INTO saga (name, key, state) VALUES ('shop.order', :key, :state)"),
                {"key": f"order-{order_id}", "state": state},
            )
    for engine in engines.values():
        engine.dispose()
    return Counter(states.values())


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Counter[str]]:
    """A folder with the books of all 830 orders, and how they ended."""
    folder = tmp_path_factory.mktemp("books")
    return folder, run(at(folder), northwind().orders)


def at(folder: Path) -> Databases:
    """The SQLite files of one run."""
    return Databases(saga=f"sqlite:///{folder}/saga.db", service=f"sqlite:///{folder}/{{service}}.db")


@pytest.fixture
def books(everything: tuple[Path, Counter[str]], tmp_path: Path) -> Databases:
    """A copy of those books, to be spoiled freely."""
    for name in ("saga", *SERVICES):
        source = create_engine(f"sqlite:///{everything[0]}/{name}.db")
        with source.connect() as connection:
            connection.exec_driver_sql("VACUUM INTO ?", (str(tmp_path / f"{name}.db"),))
        source.dispose()
    return at(tmp_path)


def test_the_default_stock_lets_a_good_part_complete_and_a_good_part_fail(
    everything: tuple[Path, Counter[str]],
) -> None:
    _, states = everything
    assert states.total() == 830
    assert states["COMPLETED"] >= 0.35 * 830
    assert states["COMPENSATED"] >= 0.30 * 830


def test_every_reason_occurs(books: Databases) -> None:
    refusals = reconcile(books, northwind().orders).refusals
    assert set(refusals) == {"OutOfStock", "Discontinued", "CreditLimitExceeded", "NeverShipped"}
    assert sum(refusals.values()) < 0.5 * 830


def test_untouched_books_balance(books: Databases, capsys: pytest.CaptureFixture[str]) -> None:
    assert reconcile(books, northwind().orders).differences == ()
    assert main(["--database", books.saga, "--service-database", books.service]) == 0
    assert "The books balance." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        ("lost-refund", "is not refunded"),
        ("double-charge", "with 2 charges not refunded"),
        ("ghost-shipment", "is compensated, but shipped"),
        ("lost-saga", "has 0 sagas, not one"),
    ],
)
def test_each_sabotage_is_found(
    books: Databases, kind: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["--database", books.saga, "--service-database", books.service, "--sabotage", kind])
    assert code == 1
    assert complaint in capsys.readouterr().out


def test_all_sabotages_are_tested() -> None:
    assert set(SABOTAGES) == {"lost-refund", "double-charge", "ghost-shipment", "lost-saga"}


@pytest.mark.parametrize("kind", sorted(SABOTAGES))
def test_a_sabotage_with_nothing_to_spoil_says_so(tmp_path: Path, kind: str) -> None:
    databases = at(tmp_path)
    run(databases, ())
    with pytest.raises(NothingToSpoil):
        spoil(kind, databases)
    assert main(["--database", databases.saga, "--service-database", databases.service, "--sabotage", kind]) == 2


SPOILED_ROWS = {
    "has 2 sagas": ("saga", "INSERT INTO saga (name, key, state) SELECT name, key, state FROM saga LIMIT 1"),
    "belongs to no order": ("saga", "INSERT INTO saga (name, key, state) VALUES ('shop.order', 'order-1', 'FAILED')"),
    "is still RUNNING": ("saga", "UPDATE saga SET state = 'RUNNING' WHERE key = 'order-10249'"),
    "units are unaccounted for": ("inventory", "UPDATE stock SET available = available + 1 WHERE product_id = 1"),
    "still holds stock": (
        "inventory",
        "UPDATE reservation SET released = 0 WHERE id = (SELECT min(id) FROM reservation WHERE released = 1)",
    ),
    "with 0 live reservations": (
        "inventory",
        "UPDATE reservation SET released = 1 WHERE id = (SELECT min(id) FROM reservation WHERE released = 0)",
    ),
    "ledger entries disagree": ("payments", "UPDATE ledger SET cents = cents + 1 WHERE id = 1"),
    "cents are captured": ("payments", "UPDATE ledger SET cents = cents + 1 WHERE account = 'shop'"),
    "cents of credit in use": ("payments", "UPDATE credit SET used_cents = used_cents + 1"),
    "with 0 shipments": ("shipping", "DELETE FROM shipment WHERE id = 1"),
    "with another carrier": ("shipping", "UPDATE shipment SET shipper_id = shipper_id + 1"),
    "with 0 confirmations": ("notifications", "DELETE FROM confirmation WHERE id = 1"),
    "names order 1, which is unknown": (
        "notifications",
        "INSERT INTO confirmation (order_id, customer_id) VALUES (1, 'VINET')",
    ),
}


@pytest.mark.parametrize("complaint", SPOILED_ROWS)
def test_a_spoiled_row_is_found(books: Databases, complaint: str) -> None:
    service, statement = SPOILED_ROWS[complaint]
    with books.open(service) as connection:
        connection.execute(text(statement))
    assert any(complaint in difference for difference in reconcile(books, northwind().orders).differences)
