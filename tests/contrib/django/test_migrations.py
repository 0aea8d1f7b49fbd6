"""Django's migrations and the store's own make the same tables, and each road accepts what the other has made."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import AlterModelOptions

from saga_celery.contrib.django.operations import Stamp
from saga_celery.store.barrier.migration import check_barrier
from saga_celery.store.barrier.table import barrier_metadata
from saga_celery.store.connections import Connections
from saga_celery.store.migrate import migrate
from saga_celery.store.schema import metadata
from saga_celery.store.version import VERSION_TABLE, check, head
from tests.contrib.django.conftest import Shop, on
from tests.django_process import configured, databases


@pytest.fixture
def connected(database_url: str) -> Iterator[Connections]:
    """The store's own way to a database without tables, whose `default` alias Django has."""
    made = Connections(database_url, chance=lambda: 0.5)
    with databases(default=on(database_url)):
        yield made
    made.dispose()


def model(name: str) -> Any:
    configured()
    return apps.get_model("saga_celery", name)


def by_django(*labels: str) -> None:
    for label in labels or ("saga_celery",):
        call_command("migrate", label, verbosity=0, skip_checks=True)


def seen(connections: Connections) -> dict[str, Any]:
    """What an inspector sees of our tables."""
    inspector = sa.inspect(connections.engine)
    return {name: _table(inspector, name) for name in inspector.get_table_names() if name.startswith("saga")}


def _table(inspector: sa.Inspector, name: str) -> dict[str, Any]:
    columns = inspector.get_columns(name)
    return {
        "columns": {each["name"]: (repr(each["type"]), each["nullable"], each.get("default")) for each in columns},
        "key": inspector.get_pk_constraint(name)["constrained_columns"],
        "indexes": {each["name"]: (each["column_names"], bool(each["unique"])) for each in inspector.get_indexes(name)},
        "unique": inspector.get_unique_constraints(name),
        "checks": inspector.get_check_constraints(name),
        "foreign": inspector.get_foreign_keys(name),
    }


def forget(connections: Connections) -> None:
    """Drop everything."""
    everything = sa.MetaData()
    everything.reflect(connections.engine)
    everything.drop_all(connections.engine)


def test_both_roads_lead_to_the_same_tables(connected: Connections) -> None:
    by_django()
    of_django = seen(connected)
    forget(connected)
    migrate(connected)
    assert of_django == seen(connected)
    assert of_django.keys() == {*metadata.tables, VERSION_TABLE}


def test_the_store_finds_the_tables_that_it_uses_at_its_version(connected: Connections) -> None:
    by_django()
    check(connected)
    with connected.engine.connect() as plain:
        context = MigrationContext.configure(
            plain,
            opts={
                "version_table": VERSION_TABLE,
                "include_name": lambda name, kind, _: kind != "table" or name in metadata.tables,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_the_barriers_table_is_the_same_too(connected: Connections) -> None:
    by_django("saga_celery_barrier")
    check_barrier(connected)
    of_django = seen(connected)
    forget(connected)
    barrier_metadata.create_all(connected.engine)
    assert of_django == seen(connected)


def test_tables_that_the_store_made_are_adopted(connected: Connections) -> None:
    migrate(connected)
    call_command("migrate", "saga_celery", fake_initial=True, verbosity=0, skip_checks=True)
    check(connected)
    call_command("migrate", "saga_celery", check_unapplied=True, verbosity=0, skip_checks=True)


def test_the_migrations_can_be_taken_back(connected: Connections) -> None:
    by_django()
    call_command("migrate", "saga_celery", "zero", verbosity=0, skip_checks=True)
    assert seen(connected) == {}
    by_django()
    check(connected)


def test_a_later_migration_moves_the_version_on_and_back(connected: Connections) -> None:
    by_django()
    stamp = Stamp("0007", before=head())

    def version() -> str:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT version_num FROM {VERSION_TABLE}")
            return str(cursor.fetchone()[0])

    with connection.schema_editor() as editor:
        stamp.database_forwards("saga_celery", editor, None, None)
    assert version() == "0007"
    with connection.schema_editor() as editor:
        stamp.database_backwards("saga_celery", editor, None, None)
    assert version() == head()


def test_the_last_migration_of_tables_stamps_the_version_of_this_release() -> None:
    """Whoever adds a revision to the store has to add a migration here."""
    configured()
    loader = MigrationLoader(None)
    (leaf,) = loader.graph.leaf_nodes("saga_celery")
    path = [loader.graph.nodes[each] for each in loader.graph.forwards_plan(leaf)]
    of_tables = [each for each in path if not all(isinstance(o, AlterModelOptions) for o in each.operations)]
    stamp = of_tables[-1].operations[-1]
    assert isinstance(stamp, Stamp)
    assert stamp.version == head()


def test_the_models_are_as_the_migrations_leave_them(kept_file: str) -> None:
    configured()
    with databases(default=on(kept_file)):
        for label in ("saga_celery", "saga_celery_barrier"):
            call_command("makemigrations", label, check_changes=True, dry_run=True, verbosity=0)


def test_every_table_has_a_model() -> None:
    configured()
    models = {model._meta.db_table: model for model in apps.get_app_config("saga_celery").get_models()}
    assert models.keys() == metadata.tables.keys()
    for name, model in models.items():
        columns = {field.column for field in model._meta.concrete_fields}
        assert columns == set(metadata.tables[name].columns.keys())


def test_the_models_read_what_the_store_wrote(shop: Shop) -> None:
    handle = shop.order.start(7, key="order-7", headers={"traceparent": "é%s"})
    shop.look(handle)
    saga = model("Saga").objects.get(key="order-7")
    stored = shop.sagas.store.queries.row(handle.id)
    assert (saga.id, saga.state, saga.suspended, str(saga)) == (handle.id, "RUNNING", False, "shop.order order-7")
    assert saga.created_at == stored.created_at
    assert abs((saga.created_at - datetime.now(UTC)).total_seconds()) < 3600  # noqa: TID251 - the database's time
    assert "é%s" in saga.headers
    assert model("SagaKey").objects.get(pk=("shop.order", "order-7")).saga_id == handle.id
    assert [each.version for each in model("SagaHistory").objects.filter(saga_id=handle.id)] == [1]
    assert model("SagaPlan").objects.count() == 1
