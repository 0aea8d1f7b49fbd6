"""Starting: once for each key, from however many processes; without a broker; in the caller's transaction."""

from __future__ import annotations

import os
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.acceptance.counter import Shop
from tests.servers import EmbeddedRedis, warm_python
from workers.demo.process import ROOT

pytestmark = pytest.mark.acceptance

RIVAL = """
import functools, sys, threading
import saga_celery.app.saga_app as house
from saga_celery import KeyConflict
from saga_celery.errors import RetryTransaction, StoreUnavailable

# Forty connections for all processes together: the server has a hundred, and others who need some.
house.SQLStore = functools.partial(house.SQLStore, pool_size=5, max_overflow=0, pool_timeout=300)
from tests.acceptance.shop import ErrandSaga

number, threads = int(sys.argv[1]), 25

def start(name, key, answers, line):
    line.wait(300)
    while True:  # a busy server may refuse a connection, or give a transaction up too often, and says so
        try:
            return answers.append(ErrandSaga.start({"name": name}, key=key))
        except KeyConflict:
            return answers.append(None)
        except (StoreUnavailable, RetryTransaction):
            threading.Event().wait(0.1)

for key in ("same", "different"):
    print("ready", flush=True)
    sys.stdin.readline()
    line, answers = threading.Barrier(threads), []
    names = [f"errand {number} {each}" if key == "different" else "errand" for each in range(threads)]
    rivals = [threading.Thread(target=start, args=(name, key, answers, line)) for name in names]
    for rival in rivals: rival.start()
    for rival in rivals: rival.join()
    for answer in answers: print(answer.id if answer else "conflict", answer.created if answer else "")
    print("over", flush=True)
"""


@pytest.fixture
def any_shop(tmp_path: Path, database_url: str) -> Iterator[Shop]:
    """A shop on each kind of database, whose broker refuses connections."""
    with Shop(tmp_path, broker="redis://127.0.0.1:1/0", database=database_url) as shop:
        yield shop


@pytest.mark.peer_bug("C5", "P9")
def test_two_hundred_starts_with_one_key_from_eight_processes_make_one_saga(any_shop: Shop) -> None:
    environment = {**os.environ, **any_shop.environment}
    rivals = [
        subprocess.Popen(
            [*warm_python(), "-c", RIVAL, str(number)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for number in range(8)
    ]
    try:
        same, different = _round(rivals), _round(rivals)
    finally:
        for rival in rivals:
            rival.communicate(timeout=120)

    stored = dict(any_shop.query("SELECT saga_key.key, id FROM saga JOIN saga_key ON saga_id = id"))  # type: ignore[arg-type]
    assert any_shop.query("SELECT count(*) FROM saga") == [(2,)]
    assert any_shop.query("SELECT count(*) FROM saga_awaited") == [(2,)]
    assert same.pop((stored["same"], "True")) == 1
    assert same == {(stored["same"], "False"): 199}
    assert different.pop((stored["different"], "True")) == 1
    assert different == {("conflict",): 199}


def _round(rivals: Sequence[subprocess.Popen[str]]) -> Counter[tuple[str, ...]]:
    """All start at once; what they were answered."""
    for rival in rivals:
        assert rival.stdout is not None
        assert rival.stdout.readline() == "ready\n"
    for rival in rivals:
        assert rival.stdin is not None
        rival.stdin.write("go\n")
        rival.stdin.flush()
    answers: Counter[tuple[str, ...]] = Counter()
    for rival in rivals:
        while (line := rival.stdout.readline()) != "over\n":
            assert line, "a rival died"
            answers[tuple(line.split())] += 1
    return answers


# ── without a broker ─────────────────────────────────────────────────────────────────────────────────────────────────

HANGING = 10.0
"""Seconds. Whoever waits for a broker does so for minutes or for ever; a commit may be slow on a busy machine."""

TIMED = """
import time
from tests.acceptance.shop import ErrandSaga, app
from celery import Celery
import celery.app.amqp, kombu.transport.redis, redis
ErrandSaga.start_many([])  # what is imported and connected at first use is no part of the start
began = time.monotonic()
ErrandSaga.start({"name": "timed"}, key="timed")
print(time.monotonic() - began)
began = time.monotonic()
ErrandSaga.start({"name": "again"}, key="again")
print(time.monotonic() - began)
"""


@pytest.fixture
def own_redis_shop(tmp_path: Path, own_redis: EmbeddedRedis) -> Iterator[Shop]:
    with Shop(tmp_path, broker=own_redis.url, database=f"sqlite:///{tmp_path / 'saga.db'}") as shop:
        yield shop


@pytest.mark.peer_bug("C11")
def test_a_start_without_redis_commits_at_once_and_runs_when_it_is_back(
    own_redis_shop: Shop, own_redis: EmbeddedRedis
) -> None:
    own_redis.kill()
    seconds = [float(line) for line in own_redis_shop.python(TIMED).split()]
    assert max(seconds) < HANGING
    started = own_redis_shop.query("SELECT id FROM saga")
    assert len(started) == 2

    own_redis.restart()
    own_redis_shop.worker("--pool", "solo")
    assert [own_redis_shop.end_of(saga_id) for (saga_id,) in started] == ["COMPLETED"] * 2


@pytest.mark.peer_bug("C11", "P10")
def test_a_start_does_not_wait_for_a_broker_that_never_answers(tmp_path: Path) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(50)
        broker = f"redis://127.0.0.1:{mute.getsockname()[1]}/0"
        with Shop(tmp_path, broker=broker, database=f"sqlite:///{tmp_path / 'saga.db'}") as shop:
            seconds = [float(line) for line in shop.python(TIMED).split()]
            assert max(seconds) < HANGING
            assert shop.query("SELECT count(*) FROM saga") == [(2,)]


# ── within the caller's transaction ──────────────────────────────────────────────────────────────────────────────────

TRANSACTIONS = """
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from tests.acceptance.shop import ErrandSaga, app

engine = create_engine(app.conf.saga_database_url, connect_args={"timeout": 60})
with engine.begin() as connection:
    connection.execute(text("CREATE TABLE purchase (name TEXT)"))

def buy(session, name):
    session.execute(text("INSERT INTO purchase VALUES (:name)"), {"name": name})
    return ErrandSaga.start({"name": name}, key=name, session=session)

with Session(engine) as session:
    buy(session, "rolled back")
    session.rollback()
with Session(engine) as session, session.begin():
    buy(session, "before")
    inner = session.begin_nested()
    buy(session, "savepoint")
    inner.rollback()
    buy(session, "after")
with engine.begin() as connection:
    ErrandSaga.start({"name": "bare"}, key="bare", connection=connection)
"""


@pytest.mark.peer_bug("P10")
def test_a_saga_exists_if_and_only_if_the_callers_transaction_does(shop: Shop) -> None:
    worker_while_it_starts = shop.worker("--pool", "solo", wait=False)
    shop.python(TRANSACTIONS)
    kept = shop.query("SELECT name FROM purchase ORDER BY name")
    assert kept == [("after",), ("before",)]
    assert shop.query('SELECT "key" FROM saga ORDER BY "key"') == [("after",), ("bare",), ("before",)]
    assert shop.query('SELECT "key" FROM saga_key ORDER BY "key"') == [("after",), ("bare",), ("before",)]
    worker_while_it_starts.await_log(" ready.")
    for (saga_id,) in shop.query("SELECT id FROM saga"):
        assert shop.end_of(saga_id) == "COMPLETED"
