"""`manage.py saga …`, and what the command line says of tables that are Django's."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from django.core.management import CommandError, ManagementUtility, call_command

from saga_celery.cli import saga
from saga_celery.contrib.commands import Host
from saga_celery.definition import desk
from tests.contrib.django.conftest import Shop, empty_tables, on, shop_on


@pytest.fixture
def shop(kept_file: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "")  # `--settings` changes it
    with shop_on(monkeypatch, default=on(kept_file)) as made:
        empty_tables("default")
        yield made


def manage(*words: str) -> int:
    """As from a shell; the exit code."""
    with pytest.raises(SystemExit) as ended:
        ManagementUtility(["/srv/shop/manage.py", "saga", *words]).execute()
    return int(ended.value.code or 0)


def test_the_group_parses_its_own_words(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    handle = shop.order.start(7, key="order-7")
    assert manage("list", "--json", "--settings", "tests.none", "--no-color") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["id"] == handle.id
    assert manage("--help") == 0
    assert "Usage: manage.py saga [OPTIONS] COMMAND" in capsys.readouterr().out
    assert manage("cancel", "order-7", "--reason", "wrong", "--yes") == 0
    assert manage("cancel", "order-7", "--reason", "wrong", "--yes") == 1
    assert manage("lst") == 2


def test_it_can_be_called_from_code(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.order.start(7, key="order-7")
    call_command("saga", "show", "order-7")
    assert "order-7" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no saga has the id or key 'order-8'") as refused:
        call_command("saga", "show", "order-8")
    assert refused.value.returncode == 3


def test_the_tables_are_left_to_djangos_migrations(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert manage("migrate") == 1
    assert "the tables are made by the framework's own migrations; run: python manage.py migrate" in (
        capsys.readouterr().err
    )
    assert manage("migrate", "--check") == 0
    as_celery = CliRunner().invoke(saga, ["migrate"], obj=Host(app=shop.celery))
    assert (as_celery.exit_code, "python manage.py migrate" in as_celery.stderr) == (1, True)


def test_tables_that_are_behind_are_told_with_djangos_command(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saga_celery.store.version.head", lambda: "9999")
    assert manage("migrate", "--check") == 3
    assert capsys.readouterr().err.endswith("this release needs 9999; run: python manage.py migrate\n")
    manage("doctor")
    told = capsys.readouterr().out
    assert "python manage.py migrate" in told
    assert "saga migrate" not in told


def test_a_project_without_an_app_is_told(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(desk, "_bound", [])
    assert manage("list") == 1
    assert "add `SagaApp(celery_app)`" in capsys.readouterr().err
