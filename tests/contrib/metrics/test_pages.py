"""The metrics over HTTP: as a page in Flask and Django, from a process of their own, and in Flower."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from celery import Celery
from click.testing import CliRunner
from django.test import RequestFactory
from flask import Flask, redirect, request
from prometheus_client import CollectorRegistry

from saga_celery import NotConfigured, SagaApp
from saga_celery.cli import saga
from saga_celery.contrib.commands import Host
from saga_celery.contrib.flask import SagaCelery
from saga_celery.contrib.flower import metrics as flowers_metrics
from saga_celery.contrib.metrics import command
from saga_celery.contrib.metrics.django import metrics_view
from tests.contrib.django.conftest import Shop as DjangoShop
from tests.contrib.django.conftest import empty_tables, kept_file, on, shop_on
from tests.installed import ROOT, install_entry_points

__all__ = ["kept_file"]

PLAIN = "text/plain; version="
STARTED = 'saga_started_total{saga="shop.order"} 1.0'
PATIENCE = 120.0


# --------------------------------------------------------------------------------------------------------------- flask


@pytest.fixture
def flask_app(shop):
    app = Flask("shop")
    app.extensions["celery"] = shop.app
    SagaCelery(app)
    shop.start()
    return app


@pytest.mark.parametrize(
    ("options", "headers", "status"),
    [
        ({"public": True}, {}, 200),
        ({"token": "s3cret"}, {"Authorization": "Bearer s3cret"}, 200),
        ({"token": "s3cret"}, {"Authorization": "Bearer guess"}, 401),
        ({"token": "s3cret"}, {"Authorization": "Bearer s3crèt"}, 401),
        ({"token": "s3cret"}, {}, 401),
        ({"authorize": lambda: request.headers.get("X-User")}, {"X-User": "ann"}, 200),
        ({"authorize": lambda: request.headers.get("X-User")}, {}, 403),
        ({"authorize": lambda: redirect("/login")}, {}, 302),
    ],
)
def test_who_may_read_the_page_of_flask(flask_app, options, headers, status):
    flask_app.register_blueprint(SagaCelery().metrics(**options))
    answer = flask_app.test_client().get("/metrics", headers=headers)
    assert answer.status_code == status
    assert (STARTED in answer.text) == (status == 200)
    assert (answer.headers.get("WWW-Authenticate") == "Bearer") == (status == 401)


def test_flask_answers_in_the_form_that_is_asked_for(flask_app):
    flask_app.register_blueprint(SagaCelery().metrics(public=True), url_prefix="/ops")
    browser = flask_app.test_client()
    plain = browser.get("/ops/metrics")
    assert plain.content_type.startswith(PLAIN)
    assert plain.headers["Cache-Control"] == "no-store"
    open_metrics = browser.get("/ops/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert open_metrics.content_type.startswith("application/openmetrics-text")
    assert open_metrics.text.endswith("# EOF\n")
    assert browser.post("/ops/metrics").status_code == 405


@pytest.mark.parametrize(
    "options", [{}, {"token": "x", "public": True}, {"token": " "}, {"authorize": len, "token": "x"}]
)
def test_nobody_may_read_unasked(options):
    for make in (SagaCelery().metrics, metrics_view):
        with pytest.raises(NotConfigured, match="token="):
            make(**options)


def test_a_flask_app_without_sagas():
    with pytest.raises(NotConfigured, match=r"has no sagas yet: call `SagaCelery\(\).init_app\(app\)`"):
        Flask("shop").register_blueprint(SagaCelery().metrics(public=True))


def test_two_flask_apps_in_one_process(flask_app, own_registry, tmp_path):
    other = Flask("other")
    other.extensions["celery"] = celery = Celery("other", broker="memory://", set_as_current=False)
    celery.conf.saga_database_url = f"sqlite:///{tmp_path / 'none.db'}"
    SagaCelery(other)
    page = SagaCelery().metrics(public=True)
    for app in (flask_app, other):
        app.register_blueprint(page)
    assert STARTED in flask_app.test_client().get("/metrics").text
    without_tables = other.test_client().get("/metrics")
    assert (without_tables.status_code, "saga_up 0.0" in without_tables.text) == (200, True)
    other.extensions["saga_celery"].dispose()


# -------------------------------------------------------------------------------------------------------------- django


@pytest.fixture
def django_shop(kept_file: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[DjangoShop]:
    with shop_on(monkeypatch, default=on(kept_file)) as made:
        empty_tables("default")
        yield made


def test_the_view_of_django(django_shop):
    django_shop.order.start(7)
    ask = RequestFactory()
    view = metrics_view(token="s3cret")
    assert view(ask.get("/metrics")).status_code == 401
    assert view(ask.get("/metrics", headers={"Authorization": "Bearer guess"})).status_code == 401
    answer = view(ask.get("/metrics", headers={"Authorization": "Bearer s3cret"}))
    assert (answer.status_code, answer["Content-Type"].startswith(PLAIN)) == (200, True)
    assert f'saga_started_total{{saga="{django_shop.order.name}"}} 1.0' in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]

    staff = metrics_view(authorize=lambda request: request.headers.get("X-User") == "ann")
    assert staff(ask.get("/metrics")).status_code == 403
    assert staff(ask.get("/metrics", headers={"X-User": "ann"})).status_code == 200
    assert metrics_view(public=True)(ask.get("/metrics")).status_code == 200
    assert metrics_view(public=True)(ask.post("/metrics")).status_code == 405
    django_shop.sagas.store.dispose()


# ------------------------------------------------------------------------------------------------------------ exporter


PROJECT = """\
from celery import Celery

from saga_celery import SagaApp

app = Celery("shop", broker="memory://")
app.conf.saga_database_url = {url!r}
SagaApp(app)
"""


def get(address: str) -> tuple[int, str]:
    parts = urlsplit(address)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_the_exporter_as_people_start_it(shop, tmp_path):
    shop.start()
    (tmp_path / "proj.py").write_text(PROJECT.format(url=shop.app.conf.saga_database_url))
    install_entry_points(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "proj", "saga", "exporter", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("metrics at http://127.0.0.1:"), line + process.stderr.read()
        status, told = get(line.split()[2].rstrip(";"))
        assert (status, STARTED in told, "python_info" in told) == (200, True, False)
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=PATIENCE)
        assert (process.returncode, rest) == (0, "stopped\n")
    finally:
        process.kill()
        process.communicate()


def test_an_exporter_whose_port_is_taken(shop):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = CliRunner().invoke(command.exporter, ["--port", str(port)], obj=Host(app=shop.app))
    assert isinstance(ended.exception, NotConfigured)
    assert f"nobody can listen at 127.0.0.1 port {port}" in str(ended.exception)
    assert "--port" in str(ended.exception)


def test_an_exporter_without_sagas_or_without_their_database(own_registry):
    app = Celery("plain", set_as_current=False)
    ended = CliRunner().invoke(command.exporter, obj=Host(app=app))
    assert "has no sagas" in str(ended.exception)
    SagaApp(app)
    ended = CliRunner().invoke(command.exporter, obj=Host(app=app))
    assert "set `saga_database_url`" in str(ended.exception)


def test_an_exporter_without_the_extra(shop, monkeypatch):
    monkeypatch.delitem(sys.modules, "saga_celery.contrib.metrics.exporter", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    ended = CliRunner().invoke(command.exporter, obj=Host(app=shop.app))
    assert isinstance(ended.exception, NotConfigured)
    assert 'pip install "saga-celery[metrics]"' in str(ended.exception)


def test_the_group_has_the_command_where_the_package_is_installed():
    assert saga.commands.get("exporter", command.exporter) is command.exporter


# -------------------------------------------------------------------------------------------------------------- flower


def test_flower_watches_the_app_that_was_added_last(shop, own_registry, tmp_path):
    registry = CollectorRegistry()
    shop.start()
    for _ in range(2):
        flowers_metrics.add_to(shop.app, registry)
    assert registry.get_sample_value("saga_started_total", {"saga": "shop.order"}) == 1
    other = Celery("other", broker="memory://", set_as_current=False)
    other.conf.saga_database_url = f"sqlite:///{tmp_path / 'none.db'}"
    sagas = SagaApp(other)
    flowers_metrics.add_to(other, registry)
    assert registry.get_sample_value("saga_up") == 0
    sagas.dispose()
