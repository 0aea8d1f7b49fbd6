"""How the tab gets into Flower, and what becomes of a Flower that is built otherwise."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from celery import Celery
from click.testing import CliRunner
from flower import app as flower_app
from flower import command as flower_command
from flower import urls
from prometheus_client import CollectorRegistry, Gauge

from saga_celery import SagaApp
from saga_celery.contrib.flower import command, hook, metrics, page
from saga_celery.contrib.flower.handlers import Guarded, routes
from tests.installed import ROOT, install_entry_points

FLOWER = Path(urls.__file__).parent


@pytest.fixture
def handlers():
    return list(urls.handlers)


@pytest.fixture
def settings():
    return dict(urls.settings)


def templates(tmp_path: Path, **changed: str | None) -> str:
    """Flower's templates, but for those that are given."""
    for path in (FLOWER / "templates").glob("*.html"):
        text = changed.get(path.stem, path.read_text())
        if text is not None:
            (tmp_path / path.name).write_text(text)
    return str(tmp_path)


def test_it_fits_the_release_that_is_installed(handlers, settings):
    before = list(handlers)
    assert flower_app.default_handlers is urls.handlers
    hook.add_to(handlers, settings)

    ours = handlers[len(before) - 1 : -1]
    assert [*handlers[: len(before) - 1], handlers[-1]] == before, version("flower")
    assert [each.regex.pattern for each in ours] == [each.regex.pattern for each in routes()]
    assert all(issubclass(each.handler_class, Guarded) for each in ours)
    handler = SimpleNamespace(application=SimpleNamespace(options=SimpleNamespace(auth="")))
    own = (
        settings["template_loader"]
        .load("navbar.html")
        .generate(active_tab="sagas", reverse_url=str, static_url=str, handler=handler, current_user=None)
    )
    tabs = own.decode().partition("</ul>")[0]
    assert tabs.count("<li") == tabs.count("</li>") > 3
    assert '<a class="nav-link active" href="sagas"' in tabs
    assert settings["template_loader"].load(page.TEMPLATE)


def test_twice_is_once(handlers, settings):
    hook.add_to(handlers, settings)
    once = list(handlers)
    hook.add_to(handlers, settings)
    assert handlers == once


@pytest.mark.parametrize("changed", [None, (), [], "no catch-all"])
def test_other_routes(handlers, settings, changed):
    given = handlers[:-1] if changed == "no catch-all" else changed
    with pytest.raises(hook.FlowerChanged):
        hook.add_to(given, settings)
    assert settings == urls.settings
    assert given == (handlers[:-1] if changed == "no catch-all" else changed)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("navbar", "<nav></nav>", "no list of tabs"),
        ("navbar", None, "no template navbar.html"),
        ("base", "<html>{% block title %}{% end %}{% block navbar %}{% end %}</html>", "no block 'container'"),
        ("base", None, "no template base.html"),
    ],
)
def test_other_templates(handlers, settings, tmp_path, name, text, says):
    settings["template_path"] = templates(tmp_path, **{name: text})
    kept = dict(settings)
    with pytest.raises(hook.FlowerChanged, match=says):
        hook.add_to(handlers, settings)
    assert handlers == urls.handlers
    assert settings == kept


def test_a_loader_of_its_own(handlers, settings):
    settings["template_loader"] = loader = object()
    with pytest.raises(hook.FlowerChanged):
        hook.add_to(handlers, settings)
    assert (handlers, settings["template_loader"]) == (urls.handlers, loader)


class TestFlowerStarts:
    """Flower itself, whatever becomes of the tab."""

    @pytest.fixture(autouse=True)
    def registry_of_prometheus(self):
        self.registry = CollectorRegistry()

    @pytest.fixture
    def started(self, monkeypatch):
        """Run the command that Celery is given; what Flower itself was started with."""
        told = []
        monkeypatch.setattr(urls, "handlers", list(urls.handlers))
        monkeypatch.setattr(urls, "settings", dict(urls.settings))
        monkeypatch.setattr(flower_app, "default_handlers", urls.handlers)

        @click.command("flower")
        @click.argument("tornado_argv", nargs=-1)
        @click.pass_context
        def flower(ctx, tornado_argv):
            told.append(tornado_argv)

        monkeypatch.setattr(flower_command, "flower", flower)
        monkeypatch.setattr(metrics.add_to, "__defaults__", (self.registry,))
        assert command.entry_point() is flower

        def start(app):
            done = CliRunner().invoke(flower, ["5"], obj=SimpleNamespace(app=app), catch_exceptions=False)
            assert done.exit_code == 0
            assert told == [("5",)]
            return any(getattr(each, "name", None) == "sagas" for each in urls.handlers)

        return start

    def test_with_the_tab_and_the_metrics(self, shop, started):
        assert started(shop.app)
        shop.start()
        assert self.registry.get_sample_value("saga_started_total", {"saga": "shop.order"}) == 1

    def test_without_the_metrics_where_their_names_are_taken(self, shop, started, caplog):
        Gauge("saga_up", "Of somebody else.", registry=self.registry)
        assert started(shop.app)
        assert [each.levelname for each in caplog.records] == ["WARNING"]
        assert "Flower starts without the metrics of the sagas: " in caplog.text
        assert "Duplicated timeseries" in caplog.text

    def test_without_it_where_there_are_no_sagas(self, own_registry, started, caplog):
        caplog.set_level(logging.INFO)
        assert not started(Celery("plain", set_as_current=False))
        assert [each.levelname for each in caplog.records] == ["INFO"]
        assert self.registry.get_sample_value("saga_up") is None
        assert "no Sagas tab: the Celery app 'plain' has no sagas" in caplog.text

    def test_without_it_where_there_is_no_database(self, own_registry, started, caplog):
        caplog.set_level(logging.INFO)
        app = Celery("participant", broker="memory://", set_as_current=False)
        SagaApp(app)
        assert not started(app)
        assert "set `saga_database_url`" in caplog.text

    def test_without_it_where_flower_has_changed(self, shop, started, caplog, monkeypatch):
        monkeypatch.setattr(flower_app, "default_handlers", [])
        assert not started(shop.app)
        assert [each.levelname for each in caplog.records] == ["WARNING"]
        assert "Flower starts without the Sagas tab: FlowerChanged" in caplog.text

    def test_without_it_where_a_module_is_gone(self, shop, started, caplog, monkeypatch):
        monkeypatch.delitem(sys.modules, "saga_celery.contrib.flower.handlers")
        monkeypatch.setitem(sys.modules, "flower.views", None)
        assert not started(shop.app)
        assert "Flower starts without the Sagas tab: ModuleNotFoundError" in caplog.text


def test_where_there_is_no_flower_the_command_line_is_as_it_was(monkeypatch):
    monkeypatch.setitem(sys.modules, "flower.command", None)
    stand_in = command.entry_point()
    assert stand_in.hidden
    told = CliRunner().invoke(stand_in)
    assert told.exit_code == 1
    assert 'pip install "saga-celery[flower]"' in told.output


def test_celery_lists_one_flower(tmp_path):
    install_entry_points(tmp_path)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    listed = subprocess.run(
        [sys.executable, "-m", "celery", "--help"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    commands = [line.split()[0] for line in listed.stdout.splitlines() if line.startswith("  ")]
    assert commands.count("flower") == 1
    assert not [each for each in commands if each.startswith("saga-")]
    assert "Traceback" not in listed.stdout + listed.stderr
