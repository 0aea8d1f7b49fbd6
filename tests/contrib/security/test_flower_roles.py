"""Every route of the tab, for everybody whom the Flower that is installed knows, and for those whom it should not."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Iterator
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import flower.app
import flower.urls
import pytest
from flower.options import default_options
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import create_signed_value

from saga_celery.contrib import console
from saga_celery.contrib.flower import handlers
from saga_celery.contrib.flower.hook import add_to
from saga_celery.contrib.flower.page import FILES
from tests.contrib.flower.conftest import Answer, Flower
from tests.contrib.security.routes import IN_FLOWER, METHODS, Route

OK, FORBIDDEN, UNAUTHORIZED, FOUND = HTTPStatus.OK, HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED, HTTPStatus.FOUND
SECRET = "of the tests"


class InThisProcess(Flower):
    """Flower's own application, in a thread of its own.

    Args:
        celery: the app that it watches.
        monkeypatch: takes the tab off again.
        options: of its command line.
    """

    def __init__(self, celery: Any, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        routes, settings = list(flower.urls.handlers), {**flower.urls.settings, "cookie_secret": SECRET}
        add_to(routes, settings)
        monkeypatch.setattr(flower.app, "default_handlers", routes)
        self._celery, self._settings = celery, settings
        self._options = SimpleNamespace(**{**default_options.as_dict(), "inspect_timeout": 1.0, **options})
        self._listens, self._ended = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._listens.wait(60)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        app = flower.app.Flower(
            capp=self._celery, options=self._options, io_loop=IOLoop.current(), events=object(), **self._settings
        )
        server = HTTPServer(app)
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        self.port = sockets[0].getsockname()[1]
        self._listens.set()
        await self._ended.wait()
        server.stop()
        await server.close_all_connections()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()


@pytest.fixture
def running(shop, monkeypatch) -> Iterator[Any]:
    """Starts Flower with options; those before it have ended then."""
    monkeypatch.delenv("FLOWER_UNAUTHENTICATED_API", raising=False)
    made: list[InThisProcess] = []

    def run(**options: Any) -> InThisProcess:
        if made:
            made.pop().stop()
        made.append(InThisProcess(shop.app, monkeypatch, **options))
        return made[-1]

    shop.app.conf.saga_console_writable = True
    yield run
    for each in made:
        each.stop()


def basic(credentials: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()}


def cookie(name: str, secret: str = SECRET) -> dict[str, str]:
    """What Flower gives to whom an OAuth provider has vouched for."""
    return {"Cookie": "user=" + create_signed_value(secret, "user", name).decode()}


ANN, ANN_OF_OAUTH = basic("ann:s3cret"), cookie("ann@example.com")
NO_LOGIN: dict[str, Any] = {}
BASIC: dict[str, Any] = {"basic_auth": ["ann:s3cret", "bob:other"]}
OAUTH: dict[str, Any] = {"auth": r".*@example.com"}
ROLES: dict[str, tuple[dict[str, Any], dict[str, str], HTTPStatus, HTTPStatus]] = {
    "anybody, without a login": (NO_LOGIN, {}, OK, FORBIDDEN),
    "with a name that nobody asked for": (NO_LOGIN, ANN, OK, FORBIDDEN),
    "basic: nobody": (BASIC, {}, UNAUTHORIZED, UNAUTHORIZED),
    "basic: a guess": (BASIC, basic("ann:guess"), UNAUTHORIZED, UNAUTHORIZED),
    "basic: another's password": (BASIC, basic("ann:other"), UNAUTHORIZED, UNAUTHORIZED),
    "basic: a cookie": (BASIC, ANN_OF_OAUTH, UNAUTHORIZED, UNAUTHORIZED),
    "basic: ann": (BASIC, ANN, OK, OK),
    "basic: ann, read-only": ({**BASIC, "read_only": True}, ANN, OK, FORBIDDEN),
    "oauth: nobody": (OAUTH, {}, FORBIDDEN, FORBIDDEN),
    "oauth: a password": (OAUTH, ANN, FORBIDDEN, FORBIDDEN),
    "oauth: unsigned": (OAUTH, {"Cookie": "user=ann@example.com"}, FORBIDDEN, FORBIDDEN),
    "oauth: signed by others": (OAUTH, cookie("ann@example.com", "of others"), FORBIDDEN, FORBIDDEN),
    "oauth: ann": (OAUTH, ANN_OF_OAUTH, OK, OK),
    "oauth: ann, read-only": ({**OAUTH, "read_only": True}, ANN_OF_OAUTH, OK, FORBIDDEN),
}
"""How Flower is started, who asks, and what comes of looking and of acting."""
PAGES = ("Door /sagas", "Page /sagas/")
"""Who is not logged in is led to the login."""


def test_every_route_is_in_the_table():
    files = "|".join(name.replace(".", r"\.") for name in FILES)
    patterns = {each: each.regex.pattern.removesuffix("$").replace(files, "FILES") for each in handlers.routes()}
    assert {f"{each.handler_class.__name__} {pattern}" for each, pattern in patterns.items()} == set(IN_FLOWER)
    assert all(issubclass(each.handler_class, handlers.Guarded) for each in handlers.routes())


def ask(tab: Flower, route: Route, saga_id: str, who: dict[str, str], **more: Any) -> Answer:
    """As the page would: with the token, and the cookie that goes with it."""
    token = "0" * 32
    cookies = "; ".join(filter(None, (who.get("Cookie"), f"_xsrf={token}")))
    headers = {**who, "Cookie": cookies, "X-CSRFToken": token} if route.acts else who
    asked = {"method": route.method, "body": route.sent(saga_id), **more}
    return tab.ask("/" + route.of(saga_id), **asked, **headers)


@pytest.mark.parametrize("unauthenticated_api", ["", "1"])
def test_every_role_at_every_route(shop, running, monkeypatch, unauthenticated_api):
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", unauthenticated_api)
    saga_id, before, tab = shop.start(), None, None
    for role, (options, who, looking, acting) in ROLES.items():
        if options != before:
            before, tab = options, running(**options)
        for name, route in IN_FLOWER.items():
            answer = ask(tab, route, saga_id, who)
            wanted = acting if route.acts else looking
            if (name in PAGES and looking is FORBIDDEN) or (name == PAGES[0] and looking is OK):
                wanted = FOUND
                assert answer.headers["Location"].startswith(("/login?next=%2Fsagas", "/sagas/"))
            assert answer.status == wanted, (role, name, answer.text)
            assert "Access-Control-Allow-Origin" not in answer.headers
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; ")
            rest = {**console.HEADERS, "Content-Security-Policy": policy}
            assert dict(answer.headers).items() >= rest.items()
            if answer.status != OK:
                assert saga_id not in answer.text
            moved = shop.sagas.store.queries.row(saga_id).version > 0
            assert moved is (route.acts and acting is OK), (role, name)
            saga_id = shop.start() if moved else saga_id


def test_no_other_method_does_anything(shop, running):
    saga_id = shop.start()
    for options, who in ((NO_LOGIN, {}), (BASIC, ANN), (OAUTH, ANN_OF_OAUTH)):
        tab = running(**options)
        for name, route in IN_FLOWER.items():
            for method in METHODS:
                if method == route.method or (method == "HEAD" and not route.acts):
                    continue
                answer = ask(tab, route, saga_id, who, method=method)
                assert answer.status in (HTTPStatus.METHOD_NOT_ALLOWED, FORBIDDEN), (method, name)
    assert shop.sagas.store.queries.row(saga_id).version == 0


class TestForgery:
    """What another site makes the browser of somebody send who is logged in."""

    @pytest.mark.parametrize(("options", "who"), [(BASIC, ANN), (OAUTH, ANN_OF_OAUTH)], ids=["basic", "oauth"])
    def test_without_the_token_of_the_page(self, shop, running, options, who):
        saga_id, tab = shop.start(), running(**options)
        path = f"/sagas/api/sagas/{saga_id}/cancel"
        own, other = "0" * 32, "1" * 32
        for headers in (
            {},
            {"X-Saga-Console": "1"},
            {"X-CSRFToken": own},
            {"Cookie": f"_xsrf={own}"},
            {"Cookie": f"_xsrf={own}", "X-CSRFToken": other},
            {"Cookie": "_xsrf=", "X-CSRFToken": ""},
            {"Authorization": "Bearer x", "Cookie": f"_xsrf={own}"},
        ):
            for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
                cookies = "; ".join(filter(None, (who.get("Cookie"), headers.get("Cookie"))))
                sent = {**headers, **who, "Content-Type": kind, **({"Cookie": cookies} if cookies else {})}
                answer = tab.ask(path, method="POST", body={"reason": "x"}, **sent)
                assert answer.status in (FORBIDDEN, HTTPStatus.BAD_REQUEST), (headers, kind)
        assert shop.sagas.store.queries.row(saga_id).version == 0

    @pytest.mark.parametrize(
        "foreign",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
            {"Content-Type": "text/plain"},
            {"Content-Type": "application/x-www-form-urlencoded"},
        ],
    )
    def test_not_even_with_a_token_that_was_planted(self, shop, running, foreign):
        """A site beside ours, `evil.shop.example`, can set a cookie for both."""
        saga_id, tab = shop.start(), running(**BASIC)
        route = IN_FLOWER["Action /sagas/api/sagas/([^/]+)/([^/]+)"]
        assert ask(tab, route, saga_id, {**ANN, **foreign}).status == FORBIDDEN
        assert shop.sagas.store.queries.row(saga_id).version == 0
        assert ask(tab, route, saga_id, {**ANN, "Origin": f"http://127.0.0.1:{tab.port}"}).status == OK


class TestCve202230034:
    """Flower before 1.2 matched mail addresses to `--auth` without an end, and had an API that was open to all."""

    @pytest.mark.parametrize(
        ("auth", "names"),
        [
            (
                r".*@example.com",
                [
                    "ann@example-com",
                    "ann@exampleXcom",
                    "ann@example.com.evil.example",
                    "ann@example.community",
                    "ann@evil.example/ann@example.com",
                    "ann@example.com@evil.example",
                    "ann@evil.example\nann@example.com",
                    "ann@example.com\n",
                    "ann@example.com\0",
                    "",
                    "@",
                    "@evil.example",
                ],
            ),
            ("ann@example.com", ["xann@example.com", "ann@exampleXcom", "ann@example.com.evil", "ANN@example.com"]),
            ("ann@example.com|bob@example.com", ["eve@example.com", "ann@example.com|bob@example.com", "example.com"]),
        ],
    )
    def test_an_address_that_looks_like_one_of_ours(self, shop, running, auth, names):
        saga_id, tab = shop.start(), running(auth=auth)
        for name in names:
            for route in IN_FLOWER.values():
                answer = ask(tab, route, saga_id, cookie(name))
                assert answer.status in (FORBIDDEN, FOUND), (name, route)
                assert not answer.headers.get("Location", "").startswith("/sagas"), (name, route)
        assert shop.sagas.store.queries.row(saga_id).version == 0
        assert (
            ask(tab, IN_FLOWER["Session /sagas/api/session"], saga_id, ANN_OF_OAUTH).json["actor"] == "ann@example.com"
        )

    def test_the_login_leads_back_to_us_alone(self, running):
        tab = running(**OAUTH)
        for path in ("/sagas/?next=//evil.example", "/sagas?next=https://evil.example", "/sagas/?x=/\\evil.example"):
            assert tab.ask(path).headers["Location"].startswith("/login?next=%2Fsagas")
        for path in ("//evil.example/sagas", "/\\evil.example/sagas", "/sagas//evil.example", "/sagas/../../etc"):
            answer = tab.ask(path)
            assert answer.status == HTTPStatus.NOT_FOUND, path
            assert "Location" not in answer.headers
