"""Requests of a threaded server: many at once, some rolled back, and with a broker that is not there."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from werkzeug.serving import make_server

REQUESTS = 200
BROWSERS = 8
AT_ONCE = 1.0
"""Seconds that `start()` may take from a web request."""


@contextmanager
def served(app) -> Iterator[int]:
    """The app under a server with a thread for each connection; its port."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def post(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def shop(request, make_shop):
    return make_shop(request.getfixturevalue(request.param))


def test_there_is_a_saga_for_each_row_that_was_committed(shop):
    """Each reads before it starts, as views do; three of ten think better of it."""

    @shop.app.post("/buy/<int:number>")
    def buy(number):
        shop.db.session.scalar(sa.select(sa.func.count()).select_from(shop.purchase))
        shop.buy(f"{number:03}")
        if number % 10 < 3:
            shop.db.session.rollback()
            return {}, 409
        shop.db.session.commit()
        return {}

    with served(shop.app) as port, ThreadPoolExecutor(BROWSERS) as browsers:
        answers = Counter(browsers.map(lambda number: post(port, f"/buy/{number}"), range(REQUESTS)))
    kept = [f"{number:03}" for number in range(REQUESTS) if number % 10 >= 3]
    assert answers == {200: 140, 409: 60}
    assert shop.purchases() == kept
    assert shop.started() == kept
    assert len(shop.nudged) == len(set(shop.nudged)) == len(kept)


@contextmanager
def refusing() -> Iterator[int]:
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@contextmanager
def mute() -> Iterator[int]:
    """A port on which somebody listens and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(50)
        yield listening.getsockname()[1]


@pytest.mark.parametrize("redis", [refusing, mute])
def test_a_start_does_not_wait_for_a_broker_that_is_not_there(make_shop, sqlite_url, redis):
    with redis() as broker_port:
        shop = make_shop(sqlite_url, broker=f"redis://127.0.0.1:{broker_port}/0", nudges=True)
        took: list[float] = []

        @shop.app.post("/buy/<name>")
        def buy(name):
            shop.sagas._transport = None  # as in another process, which has not met this broker yet
            began = time.monotonic()
            shop.buy(name)
            shop.db.session.commit()
            took.append(time.monotonic() - began)
            return {}

        with served(shop.app) as port:
            assert [post(port, f"/buy/{name}") for name in ("cake", "milk", "tea")] == [200, 200, 200]
    assert min(took) < AT_ONCE  # how busy the machine is says nothing of the broker
    assert shop.purchases() == shop.started() == ["cake", "milk", "tea"]
