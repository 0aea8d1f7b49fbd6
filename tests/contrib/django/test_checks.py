"""What `manage.py check` says, and that each of its findings goes away with what its hint asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, connections, router
from django.test.utils import override_settings

from saga_celery.app import framework
from saga_celery.contrib.django import checks
from saga_celery.contrib.django.framework import DjangoFramework
from saga_celery.definition import desk
from saga_celery.errors import NotConfigured
from saga_celery.store.version import head
from tests.contrib.django.conftest import Shop, empty_tables, on, shop_on


def found(check: Any, **options: Any) -> dict[str, str]:
    """Ids and hints."""
    return {message.id.removeprefix("saga_celery."): message.hint for message in check(None, **options)}


def all_found() -> dict[str, str]:
    listed = (checks._listed(each) for each in (checks.check_configuration, checks.check_database))
    return {key: hint for each in listed for key, hint in found(each).items()}


def of_tables() -> dict[str, str]:
    return found(checks._listed(checks.check_tables), databases=["default"])


@pytest.fixture
def on_file(kept_file: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    with shop_on(monkeypatch, default=on(kept_file)) as made:
        yield made


def set_conf(shop: Shop, **settings: Any) -> None:
    shop.celery.conf.update(settings)
    shop.sagas._settings = None


def test_nothing_is_found_where_all_is_well(shop: Shop) -> None:
    assert all_found() == {}
    assert of_tables() == {}


def test_a_process_without_an_app(on_file: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "_bound", [])
    assert list(all_found()) == ["E001"]
    assert "SagaApp(app)" in all_found()["E001"]


def test_a_setting_that_is_misspelt(on_file: Shop) -> None:
    set_conf(on_file, saga_database_alais="x")
    (problem,) = checks._listed(checks.check_configuration)(None)
    assert (problem.id, "did you mean saga_database_alias" in problem.msg) == ("saga_celery.E002", True)
    assert list(all_found()) == ["E002"]


def test_an_alias_that_there_is_not(on_file: Shop) -> None:
    set_conf(on_file, saga_database_alias="sagas")
    assert all_found() == {"E003": "one of: default"}


def test_a_url_of_its_own(on_file: Shop) -> None:
    set_conf(on_file, saga_database_url="sqlite://")
    assert list(all_found()) == ["W002"]


def test_an_engine_that_can_not_hold_sagas(on_file: Shop) -> None:
    connections["default"].settings_dict["ENGINE"] = "django.db.backends.oracle"
    framework.bind_framework(DjangoFramework())
    assert list(all_found()) == ["E004"]
    with pytest.raises(NotConfigured, match=r"ENGINE 'django\.db\.backends\.oracle'"):
        on_file.order.start(7)


def test_a_driver_that_is_not_there(on_file: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver(self: Any) -> Any:
        raise ImportError("No module named 'psycopg'")

    monkeypatch.setattr("sqlalchemy.dialects.sqlite.dialect.import_dbapi", classmethod(no_driver))
    assert "psycopg 3" in all_found()["E005"]


def test_a_deferred_begin_of_sqlite(monkeypatch: pytest.MonkeyPatch, kept_file: str) -> None:
    with shop_on(monkeypatch, default=on(kept_file, OPTIONS={})):
        assert '{"transaction_mode": "IMMEDIATE"}' in all_found()["E006"]


def test_times_in_a_zone_of_their_own(monkeypatch: pytest.MonkeyPatch, kept_file: str) -> None:
    with shop_on(monkeypatch, default=on(kept_file, TIME_ZONE="America/Chicago")):
        assert list(all_found()) == ["W003"]
    with shop_on(monkeypatch, default=on(kept_file, TIME_ZONE="UTC")):
        assert all_found() == {}


def test_another_alias_without_a_router(monkeypatch: pytest.MonkeyPatch, kept_file: str, sqlite_url: str) -> None:
    with shop_on(monkeypatch, default=on(sqlite_url), sagas=on(kept_file)) as shop:
        empty_tables("sagas")
        set_conf(shop, saga_database_alias="sagas")
        assert list(all_found()) == ["W004"]
        with override_settings(DATABASE_ROUTERS=[checks.ROUTER]):
            assert all_found() == {}
            model = apps.get_model("saga_celery", "Saga")
            assert model.objects.db == "sagas"
            assert model.objects.count() == 0  # not asked of the empty one
            assert [router.allow_migrate(alias, "saga_celery") for alias in ("default", "sagas")] == [False, True]
            assert router.allow_migrate("default", "auth")


def test_tables_that_are_behind(shop: Shop) -> None:
    def stamp(version: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE saga_schema_version SET version_num = '{version}'")

    stamp("0005")
    try:
        assert of_tables()["W001"].startswith("python manage.py migrate")
        assert found(checks._listed(checks.check_tables), databases=[]) == {}
    finally:
        stamp(head())
    assert of_tables() == {}
