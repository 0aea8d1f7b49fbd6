"""The travel agency under load: as many sagas as committed bookings, whatever is rolled back, whatever Redis does."""

from __future__ import annotations

import http.cookiejar
import os
import random  # noqa: TID251 - drawn from a seed
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.acceptance.agency import Agency
from tests.servers import EmbeddedRedis

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1200)]

SEED = 20_260_101
CUSTOMERS = 16
"""Threads, each with cookies of its own, that ask at the same time."""
HANGS = 60.0
"""Seconds after which a request counts as hung."""
TO_END = 600.0
"""Seconds that all sagas may take after the last request; what Redis has lost is sent again after 30."""
ROLLED_BACK = 0.3
DECLINED = 0.1
GOOD_CARD, DECLINED_CARD = "4000000000000077", "4000000000000002"
REQUESTS = int(os.environ.get("SAGA_SOAK_REQUESTS", "60"))


@dataclass(frozen=True)
class Wish:
    """One request: the form of a booking. A voucher that does not exist rolls it back, after the saga was started."""

    number: int
    rolled_back: bool
    card: str

    @property
    def form(self) -> dict[str, str]:
        return {
            "destination": str(1 + self.number % 3),
            "traveller": f"customer {self.number}",
            "travellers": "1",
            "card": self.card,
            "voucher": "LOUNGE-99" if self.rolled_back else "",
        }


def wishes(count: int) -> list[Wish]:
    draw = random.Random(SEED)  # noqa: S311 - not for secrets
    return [
        Wish(number, draw.random() < ROLLED_BACK, DECLINED_CARD if draw.random() < DECLINED else GOOD_CARD)
        for number in range(count)
    ]


class Crowd:
    """Customers with a thread each, who fetch the form once and then send it again and again."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._own = threading.local()
        self.seconds: list[float] = []

    def ask(self, wish: Wish) -> int:
        """Send a form; the status: 200 for the page of a booking, 422 for the form once more."""
        opener, token = self._browser()
        body = urllib.parse.urlencode({**wish.form, "csrf_token": token}).encode()
        began = time.monotonic()
        try:
            with opener.open(self._url, body, timeout=HANGS) as answer:
                answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            with refused:
                refused.read()
            return refused.code
        finally:
            self.seconds.append(time.monotonic() - began)

    def _browser(self) -> tuple[urllib.request.OpenerDirector, str]:
        if not hasattr(self._own, "browser"):
            opener = urllib.request.build_opener(
                urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), _NoRedirect()
            )
            with opener.open(self._url, timeout=HANGS) as answer:
                found = re.search(r'name="csrf_token" type="hidden" value="([^"]+)"', answer.read().decode())
            assert found is not None
            self._own.browser = opener, found.group(1)
        browser: tuple[urllib.request.OpenerDirector, str] = self._own.browser
        return browser


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is the answer: the page behind it is not what is measured."""

    def redirect_request(self, *_: object) -> None:
        return None


@pytest.fixture(
    params=["sqlite_url", "postgres_url", "mariadb_url"] if "SAGA_SOAK_REQUESTS" in os.environ else ["sqlite_url"]
)
def database(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Each kind of database that this run covers: a server only where one is named."""
    kind = {"sqlite_url": "sqlite", "postgres_url": "postgresql", "mariadb_url": "mariadb"}[request.param]
    if kind == "postgresql" and not os.environ.get("SAGA_TEST_POSTGRES_URL"):
        pytest.skip("SAGA_TEST_POSTGRES_URL is not set")
    return kind, request.getfixturevalue(request.param)


def test_there_is_a_saga_for_each_committed_booking(
    database: tuple[str, str], own_redis: EmbeddedRedis, tmp_path: Path
) -> None:
    kind, url = database
    wanted = wishes(REQUESTS)
    kept = {f"customer {wish.number}" for wish in wanted if not wish.rolled_back}
    options = ["--pace", "0", "--places", str(len(wanted)), "--broker", own_redis.url]
    with Agency(tmp_path / "agency", *options, database=url) as agency:
        crowd = Crowd(agency.url)
        began = time.monotonic()
        answers = storm(crowd, wanted, own_redis)
        asked = time.monotonic() - began
        rows = agency.query("SELECT id, traveller, saga_id FROM booking")
        keys = dict(agency.query("SELECT saga_key.`key`, saga_id FROM saga_key".replace("`", _quote(kind))))
        sagas = {saga_id for (saga_id,) in agency.query("SELECT id FROM saga")}
        agency.await_that(lambda: set(agency.states()) <= {"COMPLETED", "COMPENSATED"}, "the end", TO_END)
        ended = time.monotonic() - began
        print(f"\n{kind}: {len(wanted)} requests, {dict(answers)}, {asked:.1f} s, slowest {max(crowd.seconds):.2f} s")
        print(f"{kind}: {agency.states()} after {ended:.1f} s")

        assert answers == {HTTPStatus.FOUND: len(kept), HTTPStatus.UNPROCESSABLE_ENTITY: len(wanted) - len(kept)}
        assert {traveller for _, traveller, _ in rows} == kept
        assert len(rows) == len(kept)
        assert keys == {f"booking-{number}": saga_id for number, _, saga_id in rows}
        assert sagas == {saga_id for _, _, saga_id in rows}
        declined = sum(wish.card == DECLINED_CARD and not wish.rolled_back for wish in wanted)
        assert agency.states() == {"COMPLETED": len(kept) - declined, "COMPENSATED": declined}
        check_books(agency, len(wanted))
        assert max(crowd.seconds) < HANGS


def storm(crowd: Crowd, wanted: list[Wish], redis: EmbeddedRedis) -> Counter[int]:
    """Send all forms; once half of them are answered, Redis is killed, and comes back empty a while later."""
    left = threading.Semaphore(0)

    def ask(wish: Wish) -> int:
        try:
            return crowd.ask(wish)
        finally:
            left.release()

    with ThreadPoolExecutor(CUSTOMERS) as customers:
        answers = [customers.submit(ask, wish) for wish in wanted]
        _await(left, len(wanted) // 2)
        redis.kill()
        _await(left, len(wanted) // 10)  # so many are answered without any broker
        redis.restart()
        return Counter(answer.result() for answer in answers)


def _await(answered: threading.Semaphore, count: int) -> None:
    for _ in range(count):
        assert answered.acquire(timeout=HANGS)


def check_books(agency: Agency, places: int) -> None:
    """Seats, money and tickets are what the sagas say, each exactly once."""
    ((completed,),) = agency.query("SELECT count(*) FROM saga WHERE state = 'COMPLETED'")
    taken = agency.query("SELECT offer_id, count(*) FROM reservation WHERE NOT cancelled GROUP BY offer_id")
    free = dict(agency.query("SELECT id, free FROM offer"))  # type: ignore[arg-type]
    assert {offer: places - free[offer] for offer in free if free[offer] != places} == dict(taken)  # type: ignore[arg-type]
    assert sum(count for _, count in taken) == 2 * completed
    assert agency.query("SELECT count(*) FROM payment WHERE NOT refunded") == [(completed,)]
    assert agency.query("SELECT count(*) FROM payment WHERE refunded") == [(0,)]
    assert agency.query("SELECT count(*), count(DISTINCT booking_id) FROM ticket") == [(completed, completed)]


def _quote(kind: str) -> str:
    return "`" if kind == "mariadb" else '"'
