"""The demo as a user runs it: balanced books, and every sabotage found; on real servers where there are some."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kombu
import pytest

from tests.servers import DatabaseServer, EmbeddedRedis
from workers.demo.process import ROOT
from workers.sabotage import SABOTAGES

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

ORDERS = 60
TURN = "saga_test_demo_turn"
QUEUES = ("saga", "celery", "inventory", "payments", "shipping", "notifications", "travel")


@dataclass(frozen=True)
class Demo:
    code: int
    said: dict[str, Any]
    errors: str
    folder: Path


def run_demo(folder: Path, *options: str) -> Demo:
    """`python -m workers.demo --json`, its files below `folder`."""
    command = [sys.executable, "-m", "workers.demo", "--json", "--keep", "--concurrency", "1"]
    command += ["--time-limit", "400", *options]
    environment = {**os.environ, "TMPDIR": str(folder), "COLUMNS": "200"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert done.stdout, done.stderr
    (kept, *_) = folder.glob("saga-demo-*")
    return Demo(done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr, kept)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return run_demo(tmp_path_factory.mktemp("demo"), "--orders", str(ORDERS))


def test_the_books_balance_after_a_kill(demo: Demo) -> None:
    assert demo.code == 0, demo.errors
    assert demo.said["balanced"] is True
    assert demo.said["sagas"] == ORDERS == demo.said["completed"] + demo.said["compensated"]
    assert demo.said["failed"] == 0
    assert min(demo.said["completed"], demo.said["compensated"]) >= ORDERS / 4
    assert "SIGKILL to the payments worker" in demo.errors


@pytest.mark.parametrize("sabotage", sorted(SABOTAGES))
def test_every_sabotage_is_found(demo: Demo, tmp_path: Path, sabotage: str) -> None:
    """Refunds come with the orders that never shipped, the last ones of the catalogue: here there is none to lose."""
    for file in demo.folder.glob("*.db*"):
        shutil.copy(file, tmp_path)
    command = [sys.executable, "-m", "workers.reconcile", "--orders", str(ORDERS)]
    command += ["--database", f"sqlite:///{tmp_path}/saga.db"]
    command += ["--service-database", f"sqlite:///{tmp_path}/{{service}}.db"]
    honest = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert honest.returncode == 0, honest.stdout
    spoiled = subprocess.run([*command, "--sabotage", sabotage], cwd=ROOT, capture_output=True, text=True, timeout=240)
    if sabotage == "lost-refund":
        assert spoiled.returncode == 2
        assert "no charge was refunded in this run" in spoiled.stdout
    else:
        assert spoiled.returncode == 1, spoiled.stdout + spoiled.stderr
        assert "Sabotage: " in spoiled.stdout


# ── on real servers ──────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def rabbitmq() -> Iterator[str]:
    """The RabbitMQ of this run, for us alone, without leftovers of the demo's queues before and after."""
    url = os.environ.get("SAGA_TEST_RABBITMQ_URL")
    if not url:
        pytest.skip("SAGA_TEST_RABBITMQ_URL is not set")
    with kombu.Connection(url) as connection:
        _take_turn(connection)
        _delete_queues(connection)
        try:
            yield url
        finally:
            _delete_queues(connection)


def _take_turn(connection: kombu.Connection) -> None:
    """Other runs may use the same server, and the demo's queues have fixed names: one run at a time.

    A queue that belongs to one connection is a lock which ends with whoever holds it.
    """
    pause = threading.Event()
    while True:
        try:
            connection.channel().queue_declare(TURN, exclusive=True)
        except connection.channel_errors:
            pause.wait(0.5)
        else:
            return


def _delete_queues(connection: kombu.Connection) -> None:
    for name in QUEUES:
        with closing(connection.channel()) as channel:
            channel.queue_delete(queue=name)


def test_on_postgresql_and_rabbitmq(postgres_server: DatabaseServer, tmp_path: Path) -> None:
    if not os.environ.get("SAGA_TEST_POSTGRES_URL"):
        pytest.skip("SAGA_TEST_POSTGRES_URL is not set")
    with rabbitmq() as broker, postgres_server.database() as database:
        demo = run_demo(tmp_path, "--orders", "80", "--broker", broker, "--database", database)
        assert demo.code == 0, demo.errors
        assert demo.said["balanced"] is True


def test_on_mariadb_and_redis(mariadb_server: DatabaseServer, own_redis: EmbeddedRedis, tmp_path: Path) -> None:
    with mariadb_server.database() as database:
        demo = run_demo(tmp_path, "--orders", "80", "--broker", own_redis.url, "--database", database)
        assert demo.code == 0, demo.errors
        assert demo.said["balanced"] is True
