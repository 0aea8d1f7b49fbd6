"""Every route of `saga ui`, for everybody who may come along; and under which names it answers."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import Any

from saga_celery.contrib import console
from saga_celery.contrib.ui.application import OF_PROXIES, make_app
from saga_celery.contrib.ui.hosts import Hosts
from saga_celery.contrib.ui.logins import Logins
from tests.contrib.security.routes import OURS, ROUTES, rules

OK, FORBIDDEN, UNAUTHORIZED = HTTPStatus.OK, HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED
LOCAL = Hosts("127.0.0.1", "127.0.0.1")
HERE = {"Host": "127.0.0.1:8642"}


def basic(credentials: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()}


ANN = basic("ann:s3cret")
PEOPLE: dict[str, Any] = {"logins": Logins(["ann:s3cret", "bob:other"])}
OPEN: dict[str, Any] = {"logins": Logins()}
WRITABLE: dict[str, Any] = {"writable": True, "local_user": "olga"}
STRANGERS = [
    {},
    basic("ann:guess"),
    basic("ann:"),
    basic("ann"),
    basic(":"),
    basic("ann:other"),
    basic("ANN:s3cret"),
    basic("ann:s3cret\n"),
    basic("\0ann:s3cret"),
    {"Authorization": "Basic"},
    {"Authorization": "Basic %%%"},
    {"Authorization": "Basic " + base64.b64encode(b"ann:\xff\xfe").decode()},
    {"Authorization": ANN["Authorization"].replace("Basic", "Bearer")},
    {"Authorization": "Digest username=ann"},
    {"X-Remote-User": "ann", "X-Forwarded-User": "ann", "Remote-User": "ann"},
    {"Cookie": "user=ann; session=ann"},
]
ROLES: dict[str, tuple[dict[str, Any], dict[str, str], HTTPStatus, HTTPStatus]] = {
    **{f"stranger {n}": ({**PEOPLE, **WRITABLE}, each, UNAUTHORIZED, UNAUTHORIZED) for n, each in enumerate(STRANGERS)},
    "login": (PEOPLE, ANN, OK, FORBIDDEN),
    "login, writable": ({**PEOPLE, **WRITABLE}, ANN, OK, OK),
    "at this machine": (OPEN, {}, OK, FORBIDDEN),
    "at this machine, writable": ({**OPEN, **WRITABLE}, {}, OK, OK),
    "at this machine, with a login that nobody asked for": ({**OPEN, **WRITABLE}, ANN, OK, OK),
    **{f"by a proxy ({n})": ({**OPEN, **WRITABLE}, {n: "192.0.2.7"}, FORBIDDEN, FORBIDDEN) for n in OF_PROXIES},
}
"""How the page is served, who asks, and what comes of looking and of acting."""


def test_every_route_is_in_the_table(shop):
    assert rules(make_app(shop.sagas, hosts=LOCAL, **OPEN).url_map) == set(ROUTES)


def test_every_role_at_every_route(shop):
    saga_id = shop.start()
    for role, (options, who, looking, acting) in ROLES.items():
        browser = make_app(shop.sagas, hosts=LOCAL, **options).test_client()
        for route in ROUTES.values():
            headers = {**OURS, **HERE, **who}
            answer = browser.open(
                f"/{route.of(saga_id)}", method=route.method, json=route.sent(saga_id), headers=headers
            )
            assert answer.status_code == (acting if route.acts else looking), (role, route)
            assert dict(answer.headers).items() >= console.HEADERS.items()
            assert ("WWW-Authenticate" in answer.headers) is (answer.status_code == UNAUTHORIZED)
            if answer.status_code != OK:
                assert saga_id not in answer.get_data(as_text=True)
                assert answer.content_type == "application/json"
            moved = shop.sagas.store.queries.row(saga_id).version > 0
            assert moved is (route.acts and acting is OK), (role, route)
            if moved:
                actors = {entry["actor"] for entry in console.saga(shop.sagas, saga_id)["history"]} - {None}
                assert actors == {"ann" if options["logins"] else "olga"}
                saga_id = shop.start()


def test_what_is_not_there_is_told_to_those_who_came_in_alone(shop):
    browser = make_app(shop.sagas, hosts=LOCAL, **PEOPLE).test_client()
    for path in ("/nothing", "/static/console.js", "/../pyproject.toml", "/api/sagas/x/y/z"):
        assert browser.get(path, headers=HERE).status_code == UNAUTHORIZED
        assert browser.get(path, headers={**HERE, **ANN}).status_code == HTTPStatus.NOT_FOUND


def test_no_other_method_does_anything(shop):
    browser, saga_id = make_app(shop.sagas, hosts=LOCAL, **OPEN, **WRITABLE).test_client(), shop.start()
    for route in ROUTES.values():
        for method in route.others:
            answer = browser.open(
                f"/{route.of(saga_id)}", method=method, json=route.sent(saga_id), headers={**OURS, **HERE}
            )
            refused = (HTTPStatus.METHOD_NOT_ALLOWED, FORBIDDEN)  # a picture is, as an action, none of JSON
            assert answer.status_code in refused, (method, route)
            assert ("Allow" in answer.headers) is (answer.status_code != FORBIDDEN)
    assert shop.sagas.store.queries.row(saga_id).version == 0


def test_a_name_that_was_given_our_address_gets_nothing(shop):
    saga_id = shop.start()
    for options in ({**OPEN, **WRITABLE}, {**PEOPLE, **WRITABLE}):
        browser = make_app(shop.sagas, hosts=LOCAL, **options).test_client()
        for host in ("evil.example", "evil.example:8642", "127.0.0.1.evil.example", "", "localhost@evil"):
            for route in ROUTES.values():
                headers = {**OURS, **ANN, "Host": host}
                answer = browser.open(
                    f"/{route.of(saga_id)}", method=route.method, json=route.sent(saga_id), headers=headers
                )
                assert answer.status_code == HTTPStatus.MISDIRECTED_REQUEST, (host, route)
                assert "WWW-Authenticate" not in answer.headers  # a browser would ask for the password
    assert shop.sagas.store.queries.row(saga_id).version == 0


def test_too_much_is_refused_before_it_is_read(shop):
    browser, saga_id = make_app(shop.sagas, hosts=LOCAL, **OPEN, **WRITABLE).test_client(), shop.start()
    body = {"reason": "x" * 5_000_000}
    answer = browser.post(f"/api/sagas/{saga_id}/cancel", json=body, headers={**OURS, **HERE})
    assert answer.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert shop.sagas.store.queries.row(saga_id).version == 0


def test_an_error_within_tells_nothing_of_it(shop, monkeypatch, caplog):
    def broken(*arguments, **options):
        raise ZeroDivisionError("s3cret")

    monkeypatch.setattr(console, "counts", broken)
    answer = make_app(shop.sagas, hosts=LOCAL, **OPEN).test_client().get("/api/counts", headers=HERE)
    assert answer.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "s3cret" not in answer.get_data(as_text=True)
    assert "ZeroDivisionError" in caplog.text
