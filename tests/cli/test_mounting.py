"""The group under its hosts, and the boundary where errors become one line."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from celery import Celery
from celery.bin.base import CLIContext
from click.testing import CliRunner
from kombu.exceptions import OperationalError

from saga_celery import SagaApp
from saga_celery.cli import saga
from saga_celery.contrib.commands import Host
from saga_celery.errors import SagaError, StoreUnavailable
from tests.installed import install_entry_points

ROOT = Path(__file__).parents[2]

PROJECT = """
from celery import Celery
from saga_celery import SagaApp

app = Celery("proj", broker="memory://")
app.conf.saga_database_url = "sqlite:///proj.db"
app.user_options["preload"].add(__import__("celery").bin.base.CeleryOption(["--flag"], help_group="x"))
SagaApp(app)
"""


def celery(tmp_path, *args):
    """The user's own command, in a process of its own."""
    (tmp_path / "proj.py").write_text(PROJECT)
    install_entry_points(tmp_path)
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    command = [sys.executable, "-m", "celery", "-A", "proj", *args]
    return subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )


def test_celery_finds_the_group(tmp_path):
    behind = celery(tmp_path, "saga", "list")
    assert behind.returncode == 3
    assert behind.stderr == (
        "Error: the saga database has no tables of saga_celery yet; run: python -m celery -A proj saga migrate\n"
    )


def test_every_command_explains_itself():
    runner = CliRunner()
    listed = runner.invoke(saga, ["--help"]).stdout
    for name, command in saga.commands.items():
        assert name in listed
        assert runner.invoke(saga, [name, "--help"], obj=Host(app=Celery("x", set_as_current=False))).exit_code == 0
        assert command.help


def test_a_misspelt_command_is_usage_and_hints(shop):
    result = shop("lst")
    assert result.exit_code == 2
    assert "Did you mean one of these?\n    list" in result.stderr


def test_the_commands_to_paste_name_the_app(shop):
    saga_id = shop.exhausted()

    @click.group()
    @click.option("-A", "--app")
    @click.pass_context
    def host(ctx, app):
        ctx.obj = CLIContext(app=shop.app, no_color=True, workdir=None, quiet=False)

    host.add_command(saga)
    result = CliRunner().invoke(host, ["-A", "proj", "saga", "dead-letters"], prog_name="celery")
    assert result.stdout.endswith(f"celery -A proj saga retry {saga_id} --step label --reason '…'\n")


def test_preload_options_of_older_celery_are_taken(shop):
    option = click.Option(["--flag"])
    saga.params.append(option)
    try:
        assert shop("--flag", "x", "list").exit_code == 0
    finally:
        saga.params.remove(option)


def test_an_app_without_sagas_is_told_what_to_write(own_registry):
    result = CliRunner().invoke(saga, ["list"], obj=Host(app=Celery("bare", set_as_current=False)))
    assert result.exit_code == 3
    assert "add `SagaApp(app)`" in result.stderr


def test_modules_that_can_not_be_imported_are_one_line(shop):
    shop.app.conf.imports = ["no_such_module_of_ours"]
    result = shop("list")
    assert result.exit_code == 3
    assert result.stderr.count("\n") == 1
    assert "no_such_module_of_ours" in result.stderr


def test_a_setting_that_is_misspelt_is_one_line(own_registry):
    app = Celery("typo", set_as_current=False)
    app.conf.saga_databse_url = "sqlite://"
    SagaApp(app)
    result = CliRunner().invoke(saga, ["migrate"], obj=Host(app=app))
    assert result.exit_code == 3
    assert result.stderr == "Error: unknown setting saga_databse_url: did you mean saga_database_url?\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreUnavailable("gone"), 69),
        (OperationalError("gone"), 69),
        (SagaError("gone"), 3),
    ],
)
def test_errors_on_purpose_are_one_line(shop, monkeypatch, error, code):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(shop.sagas.store.queries, "find", fail)
    result = shop("list")
    assert (result.exit_code, result.stderr) == (code, "Error: gone\n")


def test_a_bug_keeps_its_traceback(shop, monkeypatch):
    monkeypatch.setattr(shop.sagas.store.queries, "find", lambda **wanted: 1 / 0)
    assert isinstance(shop("list").exception, ZeroDivisionError)


def test_a_database_that_is_not_there_is_69(own_registry, tmp_path):
    app = Celery("far", set_as_current=False)
    app.conf.saga_database_url = f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}"
    sagas = SagaApp(app)
    result = CliRunner().invoke(saga, ["list"], obj=Host(app=app))
    sagas.store.dispose()
    assert result.exit_code == 69
    assert result.stderr.count("\n") == 1


def test_the_graph_is_drawn(shop):
    result = shop("graph", "shop.order")
    assert result.exit_code == 0
    assert result.stdout.startswith("flowchart TD\n")
    assert shop("graph", "shop.ordr").exit_code == 3
