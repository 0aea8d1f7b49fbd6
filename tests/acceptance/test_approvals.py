"""An approval that takes two days: it costs nothing while it is awaited, outlives everything, and has an end."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
import sqlalchemy as sa
from celery import Celery

from saga_celery.store.clock import db_after
from saga_celery.store.schema import saga, saga_awaited, saga_history, saga_inbox
from tests.acceptance.counter import Shop
from tests.servers import EmbeddedRedis
from workers.demo.process import Process

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

HOUR = 3600.0
LONG = 120
"""Seconds until something that should happen at once is given up."""


class Bank(Shop):
    """A shop with loans, whose clock can be turned, and a web application with a table."""

    def __enter__(self) -> Bank:
        super().__enter__()
        with self._engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE decision (loan varchar(36))"))
        return self

    def turn_clock(self, seconds: float) -> None:
        """Let time pass for all sagas: what is stored of them is that much older."""
        back = sa.literal(-seconds, sa.Double())
        times = (
            (saga_awaited, ("due_at", "since")),
            (saga, ("created_at", "updated_at")),
            (saga_history, ("at",)),
            (saga_inbox, ("at",)),
        )
        with self._engine.begin() as connection:
            for table, columns in times:
                older = {name: db_after(table.c[name], back) for name in columns}
                connection.execute(sa.update(table).values(older))

    def waiting_loan(self, name: str) -> str:
        """A loan of which the person was asked."""
        (saga_id,) = self.start({"name": name}, saga="LoanSaga")
        self.await_that(lambda: self.steps(saga_id).get("approve") == "awaiting", "that it is asked for", LONG)
        return saga_id

    def steps(self, saga_id: str) -> dict[str, str]:
        found = self.query("SELECT step, status FROM saga_step WHERE saga_id = :id", id=saga_id)
        return {str(step): str(status) for step, status in found}

    def messages(self) -> int:
        """All that lie in the broker: in queues, or taken and not acknowledged."""
        with redis.Redis.from_url(self.broker) as broker:
            waiting = sum(broker.llen(key) for key in broker.scan_iter() if broker.type(key) == b"list")
            return int(waiting + broker.hlen("unacked"))

    def in_hand(self) -> list[object]:
        """Tasks that the worker runs, or keeps to itself."""
        with Celery(broker=self.broker, set_as_current=False) as app:
            worker = app.control.inspect(limit=1, timeout=60)
            answers = [asked() for asked in (worker.active, worker.reserved, worker.scheduled)]
        assert all(answers), "no worker answers"
        return [task for answer in answers for tasks in answer.values() for task in tasks]

    @contextmanager
    def web(self) -> Iterator[str]:
        """The web application; where it is."""
        log = self.folder / "web.log"
        process = Process("web", [sys.executable, "-m", "tests.acceptance.bank"], log=log, environment=self.environment)
        try:
            process.await_log("listening on")
            yield f"127.0.0.1:{log.read_text().split()[-1].rstrip('.')}"
        finally:
            process.stop()


def post(address: str, saga_id: str, *, ok: bool = True, fails: bool = False) -> int:
    """One request; its status."""
    body = json.dumps({"ok": ok, "by": "finance", "fails": fails}).encode()
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("POST", f"/{saga_id}", body)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.fixture
def bank(tmp_path: Path, own_redis: EmbeddedRedis, database_url: str) -> Iterator[Bank]:
    """On every database that this run covers, with a broker that may be flushed."""
    with Bank(tmp_path, broker=own_redis.url, database=database_url, app="bank") as bank:
        yield bank


def test_an_approval_outlives_everything_and_is_answered_by_a_web_request(bank: Bank, own_redis: EmbeddedRedis) -> None:
    """The request that answers it fails the first time, and takes the event back with all else that it wrote."""
    worker = bank.worker("--concurrency", "2")
    saga_id = bank.waiting_loan("house")
    assert bank.effects("house") == ["block", "ask"]

    bank.await_that(lambda: bank.messages() == 0, "that no message is left", LONG)
    assert bank.in_hand() == []
    bank.turn_clock(24 * HOUR)
    worker.kill()
    own_redis.flush()
    bank.turn_clock(23 * HOUR)
    bank.worker("--concurrency", "2")

    assert bank.steps(saga_id) == {"block": "succeeded", "approve": "awaiting"}
    assert bank.messages() == 0
    assert bank.in_hand() == []
    assert "approve waits for Decision, until " in bank.saga("show", "house").stdout
    with bank.web() as address:
        assert post(address, saga_id, fails=True) == 500
        assert bank.query("SELECT count(*) FROM decision") == [(0,)]
        assert bank.query("SELECT count(*) FROM saga_inbox") == [(0,)]
        assert bank.steps(saga_id)["approve"] == "awaiting"
        assert post(address, saga_id) == 200
        assert bank.end_of(saga_id, LONG) == "COMPLETED"
        assert post(address, saga_id) == 200, "the same event again, as a client does that lost its answer"
    assert bank.effects("house") == ["block", "ask", "pay"]
    assert bank.query("SELECT result FROM saga") == [('"approved by finance"',)]
    assert bank.query("SELECT count(*) FROM decision") == [(2,)]


def test_an_approval_that_nobody_gives_runs_out_after_two_days_and_the_saga_is_undone(bank: Bank) -> None:
    bank.worker("--concurrency", "2")
    saga_id = bank.waiting_loan("boat")
    bank.turn_clock(47 * HOUR)
    bank.await_that(lambda: bank.messages() == 0, "that no message is left", LONG)
    assert bank.state(saga_id) == "RUNNING"
    bank.turn_clock(1 * HOUR)
    assert bank.end_of(saga_id, LONG) == "COMPENSATED"
    assert bank.effects("boat") == ["block", "ask", "unblock"]
    assert "nobody answered within 172800 s" in bank.cause(saga_id)


def test_a_refusal_undoes_what_was_done(bank: Bank) -> None:
    bank.worker("--concurrency", "2")
    saga_id = bank.waiting_loan("yacht")
    with bank.web() as address:
        assert post(address, saga_id, ok=False) == 200
        assert bank.end_of(saga_id, LONG) == "COMPENSATED"
    assert bank.effects("yacht") == ["block", "ask", "unblock"]
    assert "refused by finance" in bank.cause(saga_id)
