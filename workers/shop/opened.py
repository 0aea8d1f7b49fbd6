"""The processes of an open shop."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.core.management.utils import get_random_secret_key
from django.utils.crypto import get_random_string

from workers.demo.broker import open_broker
from workers.demo.fleet import Fleet
from workers.demo.process import ROOT, NotStarted, Process
from workers.shop.options import Options

STAFF = "staff"
MANAGE = [sys.executable, "-m", "workers.shop.manage"]
LISTENS = re.compile(r"development server at (http://\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """Where it is, and who may approve there."""

    url: str
    user: str
    password: str
    server: Process
    fleet: Fleet


@contextmanager
def opened(options: Options, folder: Path) -> Iterator[Shop]:
    """A shop with all its processes, which end with the context.

    Args:
        options: what the user chose.
        folder: for database and logs.

    Raises:
        NotStarted: something did not come up; the message holds what it said.
    """
    password = get_random_string(12)
    with ExitStack() as stack:
        broker = stack.enter_context(open_broker(options.broker, folder))
        environment = {
            "DJANGO_SETTINGS_MODULE": "workers.shop.settings",
            "PYTHONUNBUFFERED": "1",
            "SHOP_SECRET_KEY": get_random_secret_key(),
            "SHOP_BROKER_URL": broker.url,
            "SHOP_BROKER_TRANSPORT_OPTIONS": broker.environment()["SAGA_BROKER_TRANSPORT_OPTIONS"],
            "SHOP_DATABASE_NAME": os.environ.get("SHOP_DATABASE_NAME", str(folder / "shop.db")),
            "SHOP_STAFF_NAME": STAFF,
            "SHOP_STAFF_PASSWORD": password,
        }
        _manage(environment, "migrate", "--verbosity", "0")
        _manage(environment, "open_shop")
        fleet = stack.enter_context(Fleet(folder, environment, options.concurrency, {"worker": "workers.shop"}))
        server = stack.enter_context(_server(options.port, folder, environment))
        url = _address(server)
        yield Shop(url=url, user=STAFF, password=password, server=server, fleet=fleet)


def _manage(environment: Mapping[str, str], *command: str) -> None:
    done = subprocess.run(
        [*MANAGE, *command], env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        raise NotStarted(f"manage.py {command[0]} failed:\n{done.stdout}{done.stderr}")


@contextmanager
def _server(port: int, folder: Path, environment: Mapping[str, str]) -> Iterator[Process]:
    command = [*MANAGE, "runserver", "--noreload", "--skip-checks", str(port)]
    server = Process("server", command, log=folder / "server.log", environment=environment)
    try:
        server.await_log("Quit the server")
        yield server
    finally:
        server.stop()


def _address(server: Process) -> str:
    found = LISTENS.search(server.log.read_text())
    assert found is not None  # noqa: S101 - written in the same breath as what was waited for
    return found.group(1)
