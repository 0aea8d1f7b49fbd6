"""The store that the console is measured on is what it says, and every call is measured. How fast, no test asserts."""

import sqlalchemy as sa

from benchmarks import console, many_sagas
from saga_celery.core.states import SagaStatus
from saga_celery.store import SQLStore
from saga_celery.store.migrate import migrate
from saga_celery.store.schema import saga
from tests.cli.conftest import own_registry

__all__ = ["own_registry"]


FILTERS = {label: console.FILTERS[label] for label in ("first page", "stuck", "tag of one in twenty")}


def test_each_call_of_the_console_is_measured(own_registry, postgres_url, monkeypatch):
    monkeypatch.setattr(console, "FILTERS", FILTERS)
    store = SQLStore(postgres_url, chance=lambda: 0.5)
    try:
        migrate(store.connections)
        figures = console.measure("postgresql", postgres_url, 2000, 1)
        states = {status: tally.count for status, tally in store.tallies.by_state().items()}
        page = store.queries.find(limit=2000)
        with store.connections.autocommit() as connection:
            ids = connection.execute(sa.select(saga.c.id).order_by(saga.c.id.desc())).scalars().all()
    finally:
        store.dispose()
    assert len(ids) == sum(states.values()) == 2000
    assert set(states) == set(SagaStatus)
    assert {row.name for row in page} == set(many_sagas.NAMES)
    assert {f"{kind}: {label}" for kind in ("list", "matching") for label in FILTERS} < {row["call"] for row in figures}
    assert all(row["p50_ms"] > 0 and row["http_max_ms"] > 0 for row in figures)
