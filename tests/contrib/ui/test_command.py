"""`saga ui` as it is typed: what it refuses, what it tells, how it ends."""

from __future__ import annotations

import base64
import getpass
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
from http import HTTPStatus
from importlib import import_module
from importlib.metadata import EntryPoint

import pytest

from saga_celery.cli import further, saga
from saga_celery.contrib import console
from saga_celery.contrib.ui import command
from saga_celery.contrib.ui.logins import VARIABLE
from tests.cli.test_mounting import PROJECT, ROOT
from tests.contrib.ui.conftest import ask
from tests.installed import install_entry_points

EVERYWHERE = "0.0.0.0"  # noqa: S104 - that is the question
pytestmark = pytest.mark.usefixtures("with_ui")

OURS = "saga_celery.contrib.flask"
PROGRAM = {"X_Saga_Console": "1", "Content_Type": "application/json"}
UNWANTED = {"reason": "unwanted"}


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def nothing_listens(monkeypatch):
    def listen(*arguments, **options):
        raise AssertionError("it listens")

    monkeypatch.setattr(socket, "create_server", listen)


def by(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def test_the_entry_point_leads_to_it():
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][further.GROUP]
    assert EntryPoint("ui", points["ui"], further.GROUP).load() is command.ui


@pytest.mark.usefixtures("nothing_listens")
@pytest.mark.parametrize(
    "where", [("--host", EVERYWHERE), ("--host", "::"), ("--host", "192.0.2.7"), ("--allow-host", "sagas.example")]
)
@pytest.mark.parametrize("more", [(), ("--writable",)])
def test_nothing_is_opened_to_others_without_a_login(shop, where, more):
    result = shop("ui", *where, *more)
    assert result.exit_code == 2
    assert "say who may, with --basic-auth USER:PASSWORD, --basic-auth @FILE or SAGA_UI_BASIC_AUTH" in result.stderr


@pytest.mark.usefixtures("nothing_listens")
@pytest.mark.parametrize("words", ["s3cret", ":s3cret", "ann :s3cret", "@s3cret\0"])
def test_a_password_is_never_printed(shop, words):
    result = shop("ui", "--basic-auth", words)
    assert result.exit_code == 2
    assert ("s3cret" not in result.output) or words.startswith("@")
    assert "Traceback" not in result.output


@pytest.mark.parametrize("missing", ["flask", "waitress"])
def test_without_the_extra_it_says_what_to_install(shop, monkeypatch, missing):
    """The command itself is there all the same: every `celery` of a project loads it."""
    for package, names in (("saga_celery.contrib.ui", ("command", "serving", "application")), (OURS, ("blueprint",))):
        for name in names:
            monkeypatch.delitem(sys.modules, f"{package}.{name}", raising=False)
            monkeypatch.delattr(f"{package}.{name}", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setitem(saga.commands, "ui", import_module("saga_celery.contrib.ui.command").ui)
    result = shop("ui")
    assert result.exit_code == 3
    assert missing in result.stderr
    assert 'the page comes with: pip install "saga-celery[ui]"' in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_port_that_is_taken(shop):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = shop("ui", "--port", str(taken.getsockname()[1]))
    assert result.exit_code == 3
    assert "Address already in use; name another --port (0: any that is free)" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_name_that_is_none(shop):
    result = shop("ui", "--host", "no such name", "--basic-auth", "ann:s3cret")
    assert result.exit_code == 3
    assert result.stderr.startswith("Error: --host no such name: ")


def test_tables_that_are_not_there_are_told_before_it_listens(unmigrated, nothing_listens):
    result = unmigrated("ui")
    assert result.exit_code == 3
    assert result.stderr.endswith("migrate\n")


def test_who_is_at_this_machine_looks(shop, visited):
    saga_id = shop.start(key="order-1")
    visit = visited(lambda address: (ask(address), ask(address, "api/session"), cancel(address, saga_id)))
    result = shop("ui", "--port", "0")
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.fullmatch(
        r"sagas at http://127\.0\.0\.1:\d+/, for everybody at this machine, to look, as --writable is not given; "
        r"Ctrl-C ends it\nstopped\n",
        result.stdout,
    )
    ((page, session, acted),) = visit.saw
    assert (page[0], "<title>Sagas</title>" in page[1]) == (HTTPStatus.OK, True)
    assert json.loads(session[1]) == {"actor": "anonymous", "writable": False, "csrf_token": None, "task_url": None}
    assert (acted[0], json.loads(acted[1])["error"]) == (HTTPStatus.FORBIDDEN, "read_only")
    assert "saga ui --writable" in acted[1]


def actors(shop, saga_id: str) -> list[str]:
    return [entry["actor"] for entry in console.saga(shop.sagas, saga_id)["history"] if entry["actor"]]


def cancel(address: str, saga_id: str, **headers: str) -> tuple[int, str]:
    path = f"api/sagas/{saga_id}/cancel"
    return ask(address, path, method="POST", body=UNWANTED, **PROGRAM, **headers)


def test_writable_without_a_login_names_the_systems_user(shop, visited):
    saga_id = shop.start()
    visit = visited(lambda address: cancel(address, saga_id), end=signal.SIGINT)
    assert shop("ui", "--port", "0", "--writable").exit_code == 0
    assert visit.saw[0][0] == HTTPStatus.OK
    assert actors(shop, saga_id) == [getpass.getuser()]


def test_nobody_acts_where_the_system_tells_no_name(shop, monkeypatch, nothing_listens):
    def nobody():
        raise KeyError("uid 4711")

    monkeypatch.setattr(getpass, "getuser", nobody)
    result = shop("ui", "--writable")
    assert result.exit_code == 2
    assert "name yourself with --basic-auth USER:PASSWORD" in result.stderr


def test_an_open_page_with_a_login(shop, visited, monkeypatch):
    saga_id = shop.start()

    def look(address: str):
        here = address.replace(EVERYWHERE, "127.0.0.1")
        return ask(here)[0], ask(here, **by("ann", "guess"))[0], cancel(here, saga_id, **by("bob", "other"))[0]

    visit = visited(look)
    monkeypatch.setenv(VARIABLE, "ann:s3cret\nbob:other")
    result = shop("ui", "--host", EVERYWHERE, "--port", "0", "--writable")
    assert result.exit_code == 0
    assert visit.saw == [(HTTPStatus.UNAUTHORIZED, HTTPStatus.UNAUTHORIZED, HTTPStatus.OK)]
    assert "for ann, bob, to look and to act" in result.stdout
    assert "put a proxy with TLS in front" in result.stderr
    assert "s3cret" not in result.output
    assert actors(shop, saga_id) == ["bob"]


def test_under_celery_it_runs_until_sigterm(shop, tmp_path):
    (tmp_path / "proj.py").write_text(PROJECT.replace("sqlite:///proj.db", shop.app.conf.saga_database_url))
    install_entry_points(tmp_path)
    served = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "proj", "saga", "ui", "--port=0"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        stdout=subprocess.PIPE,
        text=True,
    )
    with served:
        assert served.stdout is not None
        try:
            found = re.search(r"http://\S+/", served.stdout.readline())
            assert found is not None
            assert ask(found[0], "api/sagas")[0] == HTTPStatus.OK
            assert ask(found[0], "api/sagas", Host="evil.example")[0] == HTTPStatus.MISDIRECTED_REQUEST
        finally:
            served.terminate()
            rest = served.stdout.read()
    assert (served.returncode, rest) == (0, "stopped\n")


def test_it_is_a_command_of_the_group():
    assert saga.commands["ui"] is command.ui
