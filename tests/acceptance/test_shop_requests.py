"""A crowd orders at once, while Redis dies: what was committed has a saga, what was rolled back has none.

`SAGA_SOAK_REQUESTS` says how many requests, on each database; `make soak` makes a thousand. Without it there are 60 on
one database, and those at the travel agency on another one.
"""

from __future__ import annotations

import os
import random  # noqa: TID251 - which orders are rolled back is drawn, always alike
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
import sqlalchemy as sa

from saga_celery.store.schema import saga
from tests.acceptance.open_shop import OpenShop, opened
from tests.servers import EmbeddedRedis

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]

REQUESTS = int(os.environ.get("SAGA_SOAK_REQUESTS", "60"))
DATABASES = ("sqlite_url", "postgres_url", "mariadb_url") if "SAGA_SOAK_REQUESTS" in os.environ else ("postgres_url",)
CLIENTS = 16
ROLLED_BACK = 0.3
SEED = 20
HANGS = 60.0
"""Seconds after which a request counts as one that hangs."""
PATIENCE = 900.0
"""Seconds for all sagas to end."""
GOOD_CARD = "4242424242424242"
WRONG_PRICE = "1"
PLACED, ROLLED = 302, 409
ENDED = {"COMPLETED", "COMPENSATED", "FAILED"}


@dataclass(frozen=True)
class Answer:
    status: int
    seconds: float
    text: str


class Client:
    """A browser that has seen the form once, on a connection for each request."""

    def __init__(self, shop: OpenShop) -> None:
        self._place = urlsplit(shop.url)
        self._token = "t" * 32  # a CSRF cookie and the form have to agree, that is all
        [(self._product,)] = shop.ask("SELECT id FROM orders_product WHERE name = 'Tea'")

    def buy(self, *, rolled_back: bool) -> Answer:
        form = {"csrfmiddlewaretoken": self._token, "product": self._product, "quantity": 1}
        form |= {"customer": "Ada", "card": GOOD_CARD, "price": WRONG_PRICE if rolled_back else ""}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": f"csrftoken={self._token}"}
        began = time.monotonic()
        connection = HTTPConnection(str(self._place.hostname), self._place.port, timeout=HANGS)
        try:
            connection.request("POST", "/", urlencode(form), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        return Answer(answer.status, time.monotonic() - began, text)


def strike(redis: EmbeddedRedis) -> None:
    """SIGKILL, and a new one on the same port, which knows of nothing.

    To be called by the test's own thread: the server dies with the thread that started it.
    """
    redis.kill()
    redis.restart()


@pytest.mark.parametrize("database", DATABASES)
def test_a_saga_for_each_order_that_was_committed(
    request: pytest.FixtureRequest, own_redis: EmbeddedRedis, tmp_path: Path, database: str
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - no secret
    rolled_back = [chance.random() < ROLLED_BACK for _ in range(REQUESTS)]
    kept = rolled_back.count(False)

    url = request.getfixturevalue(database)
    with opened(tmp_path, "--broker", own_redis.url, database=url, SHOP_PACE="0", SHOP_DEBUG="0") as shop:
        stock_up(shop, REQUESTS)
        began = time.monotonic()
        answers = asked_at_once(Client(shop), rolled_back, midway=lambda: strike(own_redis))
        answered = time.monotonic()

        unlike = [answer for answer in answers if answer.status not in (PLACED, ROLLED)]
        assert not unlike, f"{Counter(answer.status for answer in unlike)}: {unlike[0].text[:3000]}\n{said(tmp_path)}"
        assert [answer.status == ROLLED for answer in answers] == rolled_back
        assert shop.ask("SELECT count(*) FROM orders_order") == [(kept,)]
        assert started(shop) == ordered(shop)

        await_the_end(shop)
        assert shop.ask("SELECT state, count(*) FROM saga GROUP BY state") == [("COMPLETED", kept)]
        assert shop.ask("SELECT count(*) FROM orders_charge") == [(kept,)]
        assert shop.ask("SELECT in_stock FROM orders_product WHERE name = 'Tea'") == [(REQUESTS - kept,)]
        print(database, figures(answers, answered - began, time.monotonic() - began))


def asked_at_once(client: Client, rolled_back: Sequence[bool], *, midway: Callable[[], None]) -> list[Answer]:
    """An order for each; `midway` is called, by this thread, once half of them have been sent."""
    asked, is_midway = iter(range(len(rolled_back))), threading.Event()

    def one(back: bool) -> Answer:
        if next(asked) == len(rolled_back) // 2:
            is_midway.set()
        return client.buy(rolled_back=back)

    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = clients.map(one, rolled_back)
        assert is_midway.wait(PATIENCE)
        midway()
        return list(answers)


def figures(answers: Sequence[Answer], answered: float, ended: float) -> str:
    """For whoever reads the output."""
    took = sorted(answer.seconds for answer in answers)
    return (
        f"{len(took)} requests in {answered:.1f} s, median {took[len(took) // 2]:.2f} s, "
        f"slowest {took[-1]:.2f} s; all sagas had ended after {ended:.0f} s"
    )


def stock_up(shop: OpenShop, tea: int) -> None:
    """Enough for all."""
    goods = "from workers.shop.orders.models import Product"
    shop.manage("shell", "--command", f"{goods}\nProduct.objects.filter(name='Tea').update(in_stock={tea})")


def ordered(shop: OpenShop) -> list[str]:
    """The keys that sagas should have."""
    return sorted(f"order-{number}" for (number,) in shop.ask("SELECT id FROM orders_order"))


def started(shop: OpenShop) -> list[str]:
    """The keys that they have."""
    return sorted(key for (key,) in shop.ask(sa.select(saga.c.key)))


def await_the_end(shop: OpenShop) -> None:
    """Until no saga is open."""
    pause, deadline = threading.Event(), time.monotonic() + PATIENCE
    states = "SELECT state, count(*) FROM saga GROUP BY state"
    while not {state for state, _ in shop.ask(states)} <= ENDED:
        assert time.monotonic() < deadline, shop.ask(states)
        pause.wait(0.5)


def said(folder: Path) -> str:
    """The server's last words."""
    return (folder / "server.log").read_text()[-6000:]
