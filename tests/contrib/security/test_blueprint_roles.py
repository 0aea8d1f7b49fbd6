"""Every route of the Flask blueprint, for everybody who may come along."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest
from flask import Flask, redirect

from saga_celery.contrib import console
from saga_celery.contrib.flask import SagaCelery
from tests.contrib.security.routes import OURS, ROUTES, rules

OK, FORBIDDEN, FOUND = HTTPStatus.OK, HTTPStatus.FORBIDDEN, HTTPStatus.FOUND
ANN: dict[str, Any] = {"authorize": lambda: "ann"}
ROLES: dict[str, tuple[dict[str, Any], HTTPStatus, HTTPStatus]] = {
    "nobody": ({"authorize": lambda: None, "writable": True}, FORBIDDEN, FORBIDDEN),
    "nameless": ({"authorize": lambda: " ", "writable": True}, FORBIDDEN, FORBIDDEN),
    "true": ({"authorize": lambda: True, "writable": True}, FORBIDDEN, FORBIDDEN),
    "sent to the login": ({"authorize": lambda: redirect("/login"), "writable": True}, FOUND, FOUND),
    "the public": ({"public": True}, OK, FORBIDDEN),
    "somebody": (ANN, OK, FORBIDDEN),
    "somebody who is no operator": ({**ANN, "writable": lambda name: name == "bob"}, OK, FORBIDDEN),
    "operator": ({**ANN, "writable": lambda name: name == "ann"}, OK, OK),
    "anybody acts": ({**ANN, "writable": True}, OK, OK),
}
"""How the blueprint is made, and what comes of looking and of acting."""


@pytest.fixture
def mounted(shop):
    """Makes an app whose blueprint has these options."""

    def mount(options: dict[str, Any]) -> Flask:
        app = Flask("shop")
        app.extensions["celery"] = shop.app
        SagaCelery(app)
        app.register_blueprint(SagaCelery().blueprint(**options), url_prefix="/sagas")
        return app

    return mount


def test_every_route_is_in_the_table(mounted):
    assert rules(mounted({"public": True}).url_map, "/sagas") == set(ROUTES)


def test_every_role_at_every_route(shop, mounted):
    saga_id = shop.start()
    for role, (options, looking, acting) in ROLES.items():
        browser = mounted(options).test_client()
        for route in ROUTES.values():
            answer = browser.open(
                f"/sagas/{route.of(saga_id)}", method=route.method, json=route.sent(saga_id), headers=OURS
            )
            assert answer.status_code == (acting if route.acts else looking), (role, route)
            assert dict(answer.headers).items() >= console.HEADERS.items()
            moved = shop.sagas.store.queries.row(saga_id).version > 0
            assert moved is (route.acts and acting is OK), (role, route)
            if answer.status_code == FOUND:
                assert answer.headers["Location"] == "/login"
            elif answer.status_code == FORBIDDEN:
                assert saga_id not in answer.get_data(as_text=True)
            saga_id = shop.start() if moved else saga_id


def test_no_other_method_does_anything(shop, mounted):
    saga_id = shop.start()
    for role, (options, looking, _) in ROLES.items():
        browser = mounted(options).test_client()
        for route in ROUTES.values():
            for method in route.others:
                asked = {"json": route.sent(saga_id), "headers": {**OURS, "X-HTTP-Method-Override": "POST"}}
                answer = browser.open(f"/sagas/{route.of(saga_id)}?_method=POST", method=method, **asked)
                assert answer.status_code in (HTTPStatus.METHOD_NOT_ALLOWED, FORBIDDEN, FOUND), (role, method, route)
            asks = browser.options(f"/sagas/{route.of(saga_id)}")
            assert asks.status_code == looking
            assert not [name for name, _ in asks.headers if name.lower().startswith("access-control")]
    assert shop.sagas.store.queries.row(saga_id).version == 0
