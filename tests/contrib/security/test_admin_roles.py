"""Every address of the sagas in Django's admin, for everybody who may be logged in there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client

from saga_celery.contrib import console
from tests.contrib.django.conftest import kept_file, shop
from tests.contrib.django.office import LIST, Office, admin_tables, office, page
from tests.contrib.security.routes import IN_ADMIN

__all__ = ["admin_tables", "kept_file", "office", "shop"]

OK, FORBIDDEN, FOUND = HTTPStatus.OK, HTTPStatus.FORBIDDEN, HTTPStatus.FOUND
PEOPLE: Mapping[str, Callable[[Office], Client]] = {
    "anonymous": lambda office: Client(),
    "not of the staff": lambda office: _not_of_the_staff(office),
    "staff": lambda office: office.client("sam"),
    "viewer": lambda office: office.viewer(),
    "operator who may not look": lambda office: office.client("otto", "operate_saga"),
    "operator": lambda office: office.operator(),
    "superuser": lambda office: _superuser(office),
}
STRANGERS, LOOKING, ACTING = (
    ("anonymous", "not of the staff"),
    ("viewer", "operator", "superuser"),
    ("operator", "superuser"),
)
ADDRESSES = {
    "": "list",
    "add/": "nobody",
    "<path:object_id>/history/": "leads to the page",
    "<path:object_id>/delete/": "nobody",
    "<path:object_id>/change/": "page",
    "<path:object_id>/": "leads to the page",
}
"""What is at each address below the list."""


@pytest.fixture(scope="session")
def kept_url(kept_file: str) -> str:
    """One kind of database: who may what is the same on each."""
    return kept_file


def _superuser(office: Office) -> Client:
    client, boss = Client(), office.person("boss")
    boss.is_superuser = True
    boss.save()
    client.force_login(boss)
    return client


def _not_of_the_staff(office: Office) -> Client:
    client = Client()
    client.force_login(apps.get_model("auth", "User").objects.create_user("cust", is_staff=False))
    return client


def wanted(what: str, who: str, *, acts: bool) -> HTTPStatus:
    """What the admin answers."""
    if who in STRANGERS and what != "leads to the page":
        return FOUND  # to the login
    if what == "leads to the page":
        return FOUND
    if what == "nobody":
        return FORBIDDEN
    if acts:
        return FOUND if who in ACTING else FORBIDDEN  # back to what was looked at
    return OK if who in LOOKING else FORBIDDEN


def test_every_address_is_in_the_table(office: Office) -> None:
    found = {str(url.pattern) for url in admin.site._registry[apps.get_model("saga_celery", "Saga")].get_urls()}
    assert found == {*ADDRESSES, *IN_ADMIN}


@pytest.mark.parametrize("who", PEOPLE)
def test_a_person_at_every_address(office: Office, who: str) -> None:
    client = PEOPLE[who](office)
    handle = office.start(key="order of somebody")
    for pattern, what in ADDRESSES.items():
        url = LIST + pattern.replace("<path:object_id>", handle.id)
        version = office.version(handle)
        seen = client.get(url)
        assert seen.status_code == wanted(what, who, acts=False), (pattern, what)
        if seen.status_code != OK:
            assert "order of somebody" not in seen.content.decode()
        fields: dict[str, Any] = {"verb": "suspend", "reason": "look", "expected_version": version, "step": ""}
        if what == "list":
            fields = {"action": "suspend_selected", "_selected_action": [handle.id], "reason": "look", "index": "0"}
        sent = client.post(url, {**fields, "post": "yes"})
        assert sent.status_code == wanted(what, who, acts=True), (pattern, what, sent.content.decode()[-300:])
        if who in STRANGERS and what != "leads to the page":
            assert sent.headers["Location"].startswith("/admin/login/?next=/admin/saga_celery/")
        moved = office.version(handle) > version
        assert moved is (what in ("page", "list") and who in ACTING), (pattern, what)
        version = office.version(handle)
        for method in ("put", "patch", "delete"):
            getattr(client, method)(url)
        assert office.version(handle) == version, pattern
        handle = office.start(key=f"order of somebody:{pattern}") if moved else handle


@pytest.mark.parametrize("who", PEOPLE)
def test_a_person_at_the_console(office: Office, who: str) -> None:
    client, handle = PEOPLE[who](office), office.start(key="order of somebody")
    for pattern, route in IN_ADMIN.items():
        url, version = LIST + route.of(handle.id), office.version(handle)
        sent = json.dumps(route.sent(handle.id))
        answer = client.generic(route.method, url, sent if route.acts else "", content_type="application/json")
        to_the_login = who in STRANGERS and pattern == "console/"
        may = who in (ACTING if route.acts else LOOKING)
        assert answer.status_code == (FOUND if to_the_login else OK if may else FORBIDDEN), (pattern, answer.content)
        if answer.status_code != OK:
            assert b"order of somebody" not in answer.content
        if not to_the_login and answer.headers["Content-Type"] != "text/html; charset=utf-8":
            assert answer.headers.items() >= console.HEADERS.items(), pattern
        moved = office.version(handle) > version
        assert moved is (route.acts and who in ACTING), pattern
        version = office.version(handle)
        for method in route.others:
            client.generic(
                method, url, sent, content_type="application/json", headers={"X-HTTP-Method-Override": "POST"}
            )
        assert office.version(handle) == version, pattern
        handle = office.start(key=f"order of somebody:{pattern}") if moved else handle


def test_a_script_of_another_site_is_refused(office: Office) -> None:
    handle, client = office.start(), office.operator(enforce_csrf_checks=True)
    version = office.version(handle)
    for route in IN_ADMIN.values():
        for kind in ("application/json", "text/plain") if route.acts else ():
            url, sent = LIST + route.of(handle.id), json.dumps(route.sent(handle.id))
            for headers in ({}, {"X-Saga-Console": "1"}, {"X-CSRFToken": "x" * 32}, {"Origin": "https://evil.example"}):
                answer = client.generic("POST", url, sent, content_type=kind, headers=headers)
                assert answer.status_code == FORBIDDEN, (url, kind, headers)
    assert office.version(handle) == version


def test_a_form_of_another_site_is_refused(office: Office) -> None:
    handle = office.start()
    client = office.operator(enforce_csrf_checks=True)
    fields = {"verb": "suspend", "reason": "x", "expected_version": office.version(handle), "step": ""}
    before = office.version(handle)
    foreign = {"HTTP_ORIGIN": "https://evil.example", "HTTP_REFERER": "https://evil.example/"}
    for more in ({}, foreign, {"HTTP_X_CSRFTOKEN": "x" * 32}, {"HTTP_X_SAGA_CONSOLE": "1"}):
        for url in (page(handle), LIST):
            assert client.post(url, fields, **more).status_code == FORBIDDEN
            assert client.post(url, fields, content_type="application/json", **more).status_code == FORBIDDEN
            assert client.post(url, "verb=suspend&reason=x", content_type="text/plain", **more).status_code == FORBIDDEN
    for method in (client.get, client.head):
        method(page(handle), fields)
    assert office.version(handle) == before
