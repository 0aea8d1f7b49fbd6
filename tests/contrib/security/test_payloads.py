"""What somebody wrote into a saga, in every answer that holds it; and what somebody writes into an address."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient

from saga_celery.contrib import console
from saga_celery.contrib.flask import SagaCelery
from saga_celery.contrib.ui.application import make_app
from saga_celery.contrib.ui.hosts import Hosts
from saga_celery.contrib.ui.logins import Logins
from tests.contrib.security.hostile import BREAKS_OUT, SHORT, Made
from tests.contrib.security.routes import OURS, ROUTES, UNWANTED

HERE = "http://127.0.0.1:8642"


class Browser(FlaskClient):
    """Of somebody at this machine."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("base_url", HERE)
        return super().open(*args, **kwargs)


def raw(browser: FlaskClient, path: str, base_url: str = HERE) -> Any:
    """Ask for exactly this path, which the client would tidy up."""
    path, _, query = path.partition("?")
    environ = {"PATH_INFO": unquote(path), "QUERY_STRING": query, "REQUEST_URI": path, "RAW_URI": path}
    return browser.get("/", base_url=base_url, environ_overrides=environ)


@pytest.fixture
def served(shop) -> Callable[[str], FlaskClient]:
    """`saga ui` as somebody at this machine has it, who is called so and may act."""

    def serve(name: str) -> FlaskClient:
        hosts = Hosts("127.0.0.1", "127.0.0.1")
        app = make_app(shop.sagas, hosts=hosts, logins=Logins(), local_user=name, writable=True)
        app.test_client_class = Browser
        return app.test_client()

    return serve


@pytest.fixture
def page(served) -> FlaskClient:
    return served("ann")


def strings(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        yield from (each for pair in found.items() for part in pair for each in strings(part))
    elif isinstance(found, list):
        yield from (each for part in found for each in strings(part))
    elif isinstance(found, str):
        yield found


def test_the_attacks_are_in_what_is_shown(shop, attacked, page):
    """Else the tests below would show nothing."""
    shown = page.get(f"/api/sagas/{attacked['failed']}").json
    assert shown["state"] == "FAILED"
    told = {
        "key": shown["key"],
        "tags": json.dumps(shown["tags"]),
        "lock": shown["lock"],
        "input": json.dumps(shown["input"]),
        "results": json.dumps([each["result"] for each in shown["steps"]]),
        "errors": json.dumps([each["action"] for each in shown["steps"]]),
        "actors": json.dumps([each["actor"] for each in shown["history"]]),
        "reasons and tasks": json.dumps([each["facts"] for each in shown["history"]]),
        "troubles": json.dumps(shown["troubles"]),
    }
    assert [name for name, text in told.items() if "<script>ran=1" not in text] == []


def test_no_answer_but_the_page_is_html(attacked, page):
    for saga_id in (*attacked.values(), "<script>ran=1<script>", "%3Cscript%3Eran=1"):
        for route in ROUTES.values():
            asked = f"/{route.of(saga_id)}"
            answer = page.open(asked, method=route.method, json=route.sent(saga_id), headers=OURS)
            kind = answer.content_type
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert kind.startswith("text/html") is (route.path == ""), (asked, kind)
            assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    found = page.get("/api/sagas", query_string={"state": SHORT, "search": SHORT, SHORT: SHORT})
    assert (found.status_code, found.content_type) == (HTTPStatus.BAD_REQUEST, "application/json")


def test_the_picture_is_xml_in_which_nothing_runs(attacked, page):
    """Names of steps are letters and digits, so the attack is drawn by hand besides."""
    plan = page.get(f"/api/sagas/{attacked['failed']}").json["plan"]
    drawn = console.draw([{**plan[0], "name": BREAKS_OUT, "words": BREAKS_OUT, "after": []}])
    pictures = [page.get(f"/api/sagas/{saga_id}/graph.svg") for saga_id in attacked.values()]
    for picture in pictures:
        assert picture.content_type == console.GRAPH_TYPE
        assert "default-src 'none'" in picture.headers["Content-Security-Policy"]
    for text in (drawn, *(each.data for each in pictures)):
        for each in ElementTree.fromstring(text).iter():  # noqa: S314 - it is our own
            assert each.tag.rpartition("}")[2] in ("svg", "g", "rect", "path", "text", "title")
            assert not [name for name in each.attrib if name.lower().startswith("on") or "href" in name]


def test_no_header_holds_what_somebody_wrote(shop, served):
    broken = "ann\r\nX-Evil: 1\r\n\r\n<script>"
    browser, saga_id = served(broken), shop.start(key="evil", tags={"evil": "evil"})
    for route in ROUTES.values():
        body = {**route.sent(saga_id), "reason": broken} if route.acts else None
        answer = browser.open(f"/{route.of(saga_id)}", method=route.method, json=body, headers=OURS)
        assert answer.status_code == HTTPStatus.OK, route
        assert not [each for each in answer.headers if "evil" in "".join(each).lower()]
    for path in ("/api/sagas/x%0d%0aX-Evil:1", "/%0d%0aX-Evil:1", "/api/sagas?search=x%0d%0aX-Evil:1"):
        answer = raw(browser, path)
        assert not [each for each in answer.headers if "evil" in "".join(each).lower()]


TRAVERSALS = [
    "../assets.py",
    "..%2fassets.py",
    "..%252fassets.py",
    "....//assets.py",
    "%2e%2e/%2e%2e/pyproject.toml",
    "..\\assets.py",
    "/etc/passwd",
    "console.js/../../assets.py",
    "console.js%00.html",
    "static/index.html",
    "index.html",
    "console.css/",
    "__init__.py",
    "api/sagas/..%2f..%2fassets.py",
    "api/sagas/%2e%2e/graph.svg",
]


def test_no_file_is_handed_out_but_those_of_the_page(page):
    for path in TRAVERSALS:
        answer = raw(page, f"/{path}")
        assert answer.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.PERMANENT_REDIRECT), path
        assert b"import" not in answer.data
        assert b"root:" not in answer.data


def test_nobody_is_led_elsewhere(shop, page):
    app = Flask("shop")
    app.extensions["celery"] = shop.app
    SagaCelery(app)
    app.register_blueprint(SagaCelery().blueprint(public=True), url_prefix="/sagas")
    other = app.test_client()
    for path in ("//evil.example", "//evil.example/..", "/\\evil.example", "///evil.example/%2e%2e", "//console.js"):
        for query in ("", "?next=//evil.example", "?next=https://evil.example"):
            for browser, origin, where in ((page, HERE, path), (other, "http://localhost", f"/sagas{path}")):
                location = raw(browser, f"{where}{query}", origin).headers.get("Location", "")
                assert location.startswith(f"{origin}/") or not location, location


class TestForgery:
    """What another site makes the browser of somebody send; the blueprint is the same in a Flask app."""

    def test_what_a_form_can_send(self, shop, page):
        saga_id = shop.start()
        for kind, body in (
            ("text/plain", json.dumps(UNWANTED)),
            ("application/x-www-form-urlencoded", "reason=unwanted"),
            (
                "multipart/form-data; boundary=x",
                '--x\r\nContent-Disposition: form-data; name="reason"\r\n\r\nx\r\n--x--',
            ),
            ("text/plain; application/json", json.dumps(UNWANTED)),
            ("", json.dumps(UNWANTED)),
            ("application/xml", "<reason>unwanted</reason>"),
        ):
            for headers in ({}, OURS):  # even where the header could be sent
                sent = page.post(f"/api/sagas/{saga_id}/cancel", data=body, headers={**headers, "Content-Type": kind})
                assert (sent.status_code, sent.json["error"]) == (HTTPStatus.FORBIDDEN, "csrf"), kind
        assert shop.sagas.store.queries.row(saga_id).version == 0

    def test_what_a_script_can_send_with_whatever_tells_where_it_is_from(self, shop, page):
        saga_id = shop.start()
        for foreign in (
            {"Origin": "https://evil.example"},
            {"Origin": "http://127.0.0.1:1234"},
            {"Origin": "http://127.0.0.1:8642.evil.example"},
            {"Origin": "null"},
            {"Origin": ""},
            {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8642"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
            {"Sec-Fetch-Site": ""},
        ):
            path = f"/api/sagas/{saga_id}/cancel"
            sent = page.post(path, json=UNWANTED, headers={**OURS, **foreign})
            assert (sent.status_code, sent.json["error"]) == (HTTPStatus.FORBIDDEN, "csrf"), foreign
            asked = page.options(path, headers={**foreign, "Access-Control-Request-Method": "POST"})
            assert not [name for name, _ in asked.headers if name.lower().startswith("access-control")]
        assert shop.sagas.store.queries.row(saga_id).version == 0

    def test_our_own_page_is_no_other_site(self, shop, page):
        own = {"Origin": "http://127.0.0.1:8642", "Sec-Fetch-Site": "same-origin"}
        for headers in ({}, own, {"Origin": own["Origin"]}):
            sent = page.post(f"/api/sagas/{shop.start()}/cancel", json=UNWANTED, headers={**OURS, **headers})
            assert sent.status_code == HTTPStatus.OK


def test_the_reader_of_pages_finds_attacks():
    """The tests of the admin rely on it."""
    for attack in ("<b onclick=x>", "<script>ran=1</script>", "<a href=' JavaScript:x'>", "<img src=x>"):
        assert Made(f"<p>{attack}</p>").attacks
    assert (
        Made(f"<p title='{SHORT.replace(chr(39), '').replace('<', '&lt;')}'>{SHORT.replace('<', '&lt;')}</p>").attacks
        == []
    )
