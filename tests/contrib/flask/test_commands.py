"""`flask saga …`."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.cli import FlaskGroup

from saga_celery.cli import saga as under_celery
from saga_celery.contrib.flask.command import saga

ROOT = Path(__file__).parents[3]


def run(app, *args):
    """What the command `flask` does once it has found the app."""
    host = FlaskGroup(create_app=lambda: app, load_dotenv=False)
    host.add_command(saga)
    return CliRunner().invoke(host, ["saga", *args], prog_name="flask")


@pytest.fixture
def shop(make_shop, sqlite_url):
    return make_shop(sqlite_url)


def test_the_entry_point_leads_to_the_group():
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["flask.commands"]
    assert EntryPoint("saga", points["saga"], "flask.commands").load() is saga


def test_it_has_the_commands_of_celerys_group():
    assert saga.commands == under_celery.commands


def test_it_works_on_the_sagas_of_the_flask_app(shop):
    with shop.app.app_context():
        shop.buy("tea")
        shop.db.session.commit()
    listed = run(shop.app, "list")
    assert listed.exit_code == 0, listed.output
    assert "shop.errand" in listed.stdout


def test_the_commands_to_paste_are_flasks(shop):
    with shop.app.app_context():
        shop.buy("tea")
        shop.db.session.commit()
    shown = run(shop.app, "show", "tea")
    assert "a coordinator takes it up" in shown.stdout
    shop.saga.get("tea").suspend(reason="first the rain", actor="ann")
    assert "run: flask saga resume" in run(shop.app, "show", "tea").stdout


def test_the_commands_to_paste_name_the_app_that_was_typed(shop, tmp_path, monkeypatch):
    shop.saga.start("tea", key="tea").suspend(reason="first the rain", actor="ann")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "front_door.py").write_text("app = None\n")
    monkeypatch.setattr("flask.cli.locate_app", lambda module, name: shop.app)
    host = FlaskGroup(load_dotenv=False)
    host.add_command(saga)
    shown = CliRunner().invoke(host, ["--app", "front_door", "saga", "show", "tea"], prog_name="flask")
    assert "run: flask --app front_door saga resume" in shown.stdout


def test_an_app_without_sagas_is_told_what_to_write():
    result = run(Flask("bare"), "list")
    assert result.exit_code == 3
    assert "the Flask app 'bare' has no sagas: call `SagaCelery(app)` in its factory, below" in result.stderr
    assert result.stderr.count("\n") == 1
