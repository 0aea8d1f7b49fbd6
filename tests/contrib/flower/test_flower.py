"""The tab in a real Flower: who may look, who may act, and from where."""

from __future__ import annotations

import base64
import os
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import pytest
from tornado.web import create_signed_value

from saga_celery.contrib import console
from tests.contrib.flower.conftest import Answer, Flower

ANN = {"Authorization": "Basic " + base64.b64encode(b"ann:s3cret").decode()}
WRONG = {"Authorization": "Basic " + base64.b64encode(b"ann:guess").decode()}
FILES = (*(name for name in console.ASSETS if name != "index.html"), "flower.css")
QUERIES = ("api/session", "api/sagas", "api/counts", "api/matching", "api/sagas/{id}", "api/sagas/{id}/graph.svg")
ROUTES = ("", *FILES, *QUERIES)
ACTION = "api/sagas/{id}/cancel"
BULK = "api/bulk/suspend"
UNWANTED = {"reason": "unwanted"}
COOKIE_SECRET = "of the tests"
OAUTH = (
    r"--auth=.*@example.com",
    "--auth_provider=flower.views.auth.GithubLoginHandler",
    "--oauth2_key=k",
    "--oauth2_secret=s",
    "--oauth2_redirect_uri=http://localhost/login",
    f"--cookie_secret={COOKIE_SECRET}",
)


def user(name: str) -> dict[str, str]:
    """The cookie that Flower gives to whom an OAuth provider has vouched for."""
    return {"Cookie": "user=" + create_signed_value(COOKIE_SECRET, "user", name).decode()}


def with_token(flower: Flower, headers: dict[str, str], prefix: str = "") -> dict[str, str]:
    """Headers of one who has looked at the page: its token, and the cookie that goes with it."""
    answer = flower.ask(f"{prefix}/sagas/api/session", **headers)
    cookies = [headers.get("Cookie"), answer.headers["Set-Cookie"].partition(";")[0]]
    return {**headers, "Cookie": "; ".join(filter(None, cookies)), "X-CSRFToken": answer.json["csrf_token"]}


def untouched(shop, saga_id) -> bool:
    return shop.sagas.store.queries.row(saga_id).version == 0


def refused(answer: Answer, *, by: str) -> bool:
    return answer.status == HTTPStatus.FORBIDDEN and by in answer.json["message"]


def test_without_a_login_everybody_looks_and_nobody_acts(shop, flower):
    saga_id = shop.start(key="order-1")
    open_to_all = flower(
        "--url_prefix=monitor", settings={"saga_console_writable": True}, FLOWER_UNAUTHENTICATED_API="1"
    )
    assert not [line for line in open_to_all.log if "without the Sagas tab" in line]

    for path in ("/monitor/workers", "/monitor/tasks", "/monitor/broker"):
        assert 'href="/monitor/sagas/"' in open_to_all.ask(path).text
    assert open_to_all.ask("/monitor/sagas").headers["Location"] == "/monitor/sagas/"
    page = open_to_all.ask("/monitor/sagas/")
    assert page.status == HTTPStatus.OK
    assert page.text.count('aria-current="page"') == 1
    assert page.text.count('id="saga-main"') == page.text.count("<main") == 1
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    assert open_to_all.ask("/sagas/").status == HTTPStatus.NOT_FOUND

    measured = open_to_all.ask("/monitor/metrics")
    assert 'saga_started_total{saga="shop.order"} 1.0' in measured.text
    assert "# TYPE flower_events_total counter" in measured.text

    listed = open_to_all.ask("/monitor/sagas/api/sagas?search=order-1")
    assert [each["id"] for each in listed.json["sagas"]] == [saga_id]
    assert open_to_all.ask(f"/monitor/sagas/api/sagas/{saga_id}").json["key"] == "order-1"
    assert open_to_all.ask("/monitor/sagas/api/counts").json["counts"][0]["count"] == 1
    drawn = open_to_all.ask(f"/monitor/sagas/api/sagas/{saga_id}/graph.svg")
    assert (drawn.headers["Content-Type"], drawn.text[:4]) == (console.GRAPH_TYPE, "<svg")
    missing, wrong = (open_to_all.ask(f"/monitor/sagas/api/sagas{rest}") for rest in ("/none", "?state=x%22%26"))
    assert (missing.status, missing.json["error"]) == (HTTPStatus.NOT_FOUND, "not_found")
    assert (wrong.status, wrong.json["error"]) == (HTTPStatus.BAD_REQUEST, "input_rejected")
    assert "'x\"&'" in wrong.json["message"]
    for route in ROUTES:
        headers = open_to_all.ask("/monitor/sagas/" + route.format(id=saga_id)).headers
        assert "Access-Control-Allow-Origin" not in headers
        assert dict(headers).items() >= {**console.HEADERS, **({} if route else policy_of(page))}.items()

    session = open_to_all.ask("/monitor/sagas/api/session").json
    assert (session["actor"], session["writable"]) == ("anonymous", False)
    act = f"/monitor/sagas/{ACTION}".format(id=saga_id)
    token = with_token(open_to_all, {}, "/monitor")
    for path in (act, f"/monitor/sagas/{BULK}"):
        for headers in ({}, ANN, token, {**ANN, **token}):
            assert refused(open_to_all.ask(path, method="POST", body=UNWANTED, **headers), by="Flower has no login")
    assert untouched(shop, saga_id)


def policy_of(page: Answer) -> dict[str, str]:
    """The page itself has Flower's pictures."""
    return {"Content-Security-Policy": page.headers["Content-Security-Policy"]}


def test_under_basic_auth_no_route_is_open(shop, flower):
    saga_id = shop.start(key="order-1")
    closed = flower("--basic_auth=ann:s3cret,bob:other", settings={"saga_console_writable": True})
    for route in (*ROUTES, ACTION, BULK):
        path = "/sagas/" + route.format(id=saga_id)
        for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"):
            for headers in ({}, WRONG, {"Authorization": "Bearer x"}, user("ann@example.com")):
                answer = closed.ask(path, method=method, body={}, **headers)
                assert answer.status == HTTPStatus.UNAUTHORIZED, (method, path)
                assert answer.headers["WWW-Authenticate"].startswith("Basic")
        if route not in (ACTION, BULK):
            assert closed.ask(path, **ANN).status == HTTPStatus.OK


def test_acting_under_basic_auth(shop, flower):
    saga_id = shop.start(key="order-1")
    started = flower("--basic_auth=ann:s3cret,bob:other", settings={"saga_console_writable": True})
    path = f"/sagas/{ACTION}".format(id=saga_id)
    session = started.ask("/sagas/api/session", **ANN).json
    assert (session["actor"], session["writable"]) == ("ann", True)

    def act(headers: dict[str, str], body=UNWANTED, path: str = path) -> Answer:
        return started.ask(path, method="POST", body=body, **headers)

    seen = with_token(started, ANN)
    many = {**UNWANTED, "filter": {"name": "shop.order"}, "expected_count": 1}
    for query in ("", "?_method=POST"):
        assert started.ask(path + query, **seen).status == HTTPStatus.METHOD_NOT_ALLOWED
    assert refused(act(without(seen, "X-CSRFToken")), by="'_xsrf' argument missing")
    assert refused(act(without(seen, "Cookie")), by="XSRF cookie does not match")
    assert refused(act({**seen, "X-CSRFToken": "0" * 32}), by="XSRF cookie does not match")
    assert act(without(seen, "Authorization")).status == HTTPStatus.UNAUTHORIZED
    assert act(seen, body={}).json["error"] == "refused"  # no reason
    assert act(seen, body="cancel").status == HTTPStatus.BAD_REQUEST
    for lacking, by in (("X-CSRFToken", "'_xsrf' argument missing"), ("Cookie", "XSRF cookie does not match")):
        assert refused(act(without(seen, lacking), many, f"/sagas/{BULK}"), by=by)
    assert act(seen, {**many, "expected_count": 2}, f"/sagas/{BULK}").status == HTTPStatus.CONFLICT
    assert untouched(shop, saga_id)

    assert started.ask("/sagas/api/matching?name=shop.order", **ANN).json == {"count": 1, "more": False}
    assert act(seen, many, f"/sagas/{BULK}").json == {"verb": "suspend", "done": 1, "refused": []}
    done = act(seen)
    assert (done.status, done.json["id"]) == (HTTPStatus.OK, saga_id)
    history = started.ask(f"/sagas/api/sagas/{saga_id}", **ANN).json["history"]
    assert "ann" in [entry["actor"] for entry in history]


def without(headers: dict[str, str], name: str) -> dict[str, str]:
    return {each: value for each, value in headers.items() if each != name}


@pytest.mark.parametrize(
    ("options", "settings", "why"),
    [
        (("--basic_auth=ann:s3cret",), {}, "saga_console_writable"),
        (("--basic_auth=ann:s3cret", "--read_only"), {"saga_console_writable": True}, "--read_only"),
        (("--basic_auth=:s3cret",), {"saga_console_writable": True}, "names who acts"),
    ],
    ids=["by default", "read-only Flower", "nameless"],
)
def test_nobody_acts(shop, flower, options, settings, why):
    saga_id = shop.start()
    started = flower(*options, settings=settings)
    name_and_word = options[0].partition("=")[2].encode()
    who = {"Authorization": "Basic " + base64.b64encode(name_and_word).decode()}
    assert started.ask("/sagas/api/session", **who).json["writable"] is False
    act = f"/sagas/{ACTION}".format(id=saga_id)
    assert refused(started.ask(act, method="POST", body=UNWANTED, **with_token(started, who)), by=why)
    assert untouched(shop, saga_id)


def test_oauth(shop, flower):
    saga_id = shop.start()
    closed = flower(*OAUTH, settings={"saga_console_writable": True})
    act = f"/sagas/{ACTION}".format(id=saga_id)
    ann, mallory = user("ann@example.com"), user("mallory@elsewhere.com")
    unsigned = {"Cookie": "user=ann@example.com"}

    for headers in ({}, mallory, unsigned, ANN):
        assert closed.ask("/sagas/", **headers).headers["Location"] == "/login?next=%2Fsagas%2F"
        for route in (*FILES, *QUERIES):
            assert closed.ask("/sagas/" + route.format(id=saga_id), **headers).status == HTTPStatus.FORBIDDEN
        assert refused(closed.ask(act, method="POST", body=UNWANTED, **headers), by="log in")
    for route in ROUTES:
        assert closed.ask("/sagas/" + route.format(id=saga_id), **ann).status == HTTPStatus.OK

    assert refused(closed.ask(act, method="POST", body=UNWANTED, **ann), by="_xsrf")
    assert refused(closed.ask(act, method="POST", body=UNWANTED, **ann, Authorization="Bearer x"), by="_xsrf")
    assert untouched(shop, saga_id)
    assert closed.ask(act, method="POST", body=UNWANTED, **with_token(closed, ann)).status == HTTPStatus.OK
    history = closed.ask(f"/sagas/api/sagas/{saga_id}", **ann).json["history"]
    assert "ann@example.com" in [entry["actor"] for entry in history]


SLOW_DATABASE = """
def wait_for_the_test(executor=None):
    open("gate").read()

SagaApp.of(app).check_schema = wait_for_the_test
"""


def test_a_slow_database_does_not_hold_up_flower(flower, tmp_path):
    os.mkfifo(tmp_path / "gate")
    started = flower(code=SLOW_DATABASE)
    with ThreadPoolExecutor(1) as browser:
        asked = browser.submit(started.ask, "/sagas/api/counts")
        with (tmp_path / "gate").open("w"):  # opens when the other end is read
            assert started.ask("/healthcheck").text == "OK"
            assert not asked.done()
        assert asked.result().json == {"counts": [], "names": []}
