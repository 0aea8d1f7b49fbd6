"""The web console within Django's admin: who reads it, who acts in it, and what it answers to whom."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connections
from django.test import Client, modify_settings, override_settings
from django.urls import path as route_of

from saga_celery import SagaHandle
from saga_celery.contrib import console
from tests.contrib.django.office import LIST, Office, admin_tables, office, page

__all__ = ["admin_tables", "office"]

pytestmark = pytest.mark.parametrize("kept_url", ["sqlite"], indirect=True)

HOME = f"{LIST}console/"
READ = {
    "": "",
    "api/session": "api/session",
    "api/sagas": "api/sagas?limit=3",
    "api/counts": "api/counts",
    "api/matching": "api/matching?state=FAILED",
    "api/sagas/<str:saga_id>": "api/sagas/{id}",
    "api/sagas/<str:saga_id>/graph.svg": "api/sagas/{id}/graph.svg",
    "<path:name>": "console.js",
}
ACT = {
    "api/sagas/<str:saga_id>/<str:verb>": "api/sagas/{id}/suspend",
    "api/bulk/<str:verb>": "api/bulk/suspend",
}
"""Each route, and an address of it."""


def post(client: Client, path: str, body: Any, **headers: Any) -> Any:
    """Send it as the page does."""
    return client.post(HOME + path, json.dumps(body), content_type="application/json", headers=headers)


def suspend(client: Client, handle: SagaHandle[Any], **headers: Any) -> Any:
    return post(client, f"api/sagas/{handle.id}/suspend", {"reason": "recalled"}, **headers)


def acted(office: Office, handle: SagaHandle[Any]) -> list[str]:
    """What was asked for, by the history."""
    return [entry["facts"][0]["text"] for entry in office.record(handle)["history"] if entry["actor"]]


def customer(office: Office) -> Client:
    """Somebody with all permissions who is none of the staff."""
    client = office.client("carl", "view_saga", "operate_saga")
    type(office.person("nobody")).objects.filter(username="carl").update(is_staff=False)
    return client


ROLES: dict[str, tuple[Callable[[Office], Client], str | None, str | None]] = {
    "anonymous": (lambda office: Client(), "session", "session"),
    "customer": (customer, "session", "session"),
    "staff": (lambda office: office.client("sam"), "forbidden", "forbidden"),
    "blind": (lambda office: office.client("bob", "operate_saga"), "forbidden", "forbidden"),
    "viewer": (lambda office: office.viewer(), None, "read_only"),
    "operator": (lambda office: office.operator(), None, None),
}
"""Who it is, why reading is refused to them, and why acting."""


class TestWho:
    def test_the_table_of_this_test_has_every_route(self, office: Office) -> None:
        urls = admin.site.get_model_admin(apps.get_model("saga_celery", "Saga")).get_urls()
        routes = [route.removeprefix("console/") for url in urls if (route := str(url.pattern)).startswith("console/")]
        assert sorted(routes) == sorted({**READ, **ACT})

    @pytest.mark.parametrize("role", ROLES)
    def test_each_route_for_each_role(self, office: Office, role: str) -> None:
        make, no_reading, no_acting = ROLES[role]
        handle, client = office.start(), make(office)
        for path in READ.values():
            answer = client.get(HOME + path.format(id=handle.id))
            if path:
                self.assert_answered(answer, no_reading)
            else:
                self.assert_page(answer, no_reading)
        for path in ACT.values():
            which = {"ids": [handle.id]} if path.startswith("api/bulk") else {}
            self.assert_answered(post(client, path.format(id=handle.id), {"reason": "recalled", **which}), no_acting)
        assert handle.snapshot().suspended == (no_acting is None)

    @staticmethod
    def assert_answered(answer: Any, refused: str | None) -> None:
        """The script of the page can read it, whatever it is, and a browser does nothing else with it."""
        assert {name: answer.headers[name] for name in console.HEADERS} == console.HEADERS
        if refused is None:
            assert answer.status_code == HTTPStatus.OK
        else:
            assert (answer.status_code, answer.json()["error"]) == (HTTPStatus.FORBIDDEN, refused)

    @staticmethod
    def assert_page(answer: Any, refused: str | None) -> None:
        """A page, or the way to one."""
        if refused == "session":
            assert answer.headers["Location"] == f"/admin/login/?next={HOME}"
        else:
            assert answer.status_code == (HTTPStatus.OK if refused is None else HTTPStatus.FORBIDDEN)

    def test_who_it_is_and_what_they_may(self, office: Office) -> None:
        for client, actor, writable in ((office.viewer(), "vera", False), (office.operator(), "olga", True)):
            told = client.get(f"{HOME}api/session").json()
            assert (told["actor"], told["writable"]) == (actor, writable)

    def test_the_setting_of_flowers_console_is_none_of_its_business(self, office: Office) -> None:
        office.shop.celery.conf.saga_console_writable = True
        office.shop.sagas._settings = None
        assert suspend(office.viewer(), office.start()).status_code == HTTPStatus.FORBIDDEN

    @pytest.mark.parametrize("everywhere", [False, True])
    def test_a_session_that_has_ended(self, office: Office, everywhere: bool) -> None:
        """The script is told so in JSON, also where all of a project asks for a login."""
        login = {"append": "django.contrib.auth.middleware.LoginRequiredMiddleware"} if everywhere else {"append": []}
        with modify_settings(MIDDLEWARE=login):
            handle, client = office.start(), office.operator()
            assert client.get(f"{HOME}api/sagas").status_code == HTTPStatus.OK
            client.logout()
            for answer in (client.get(f"{HOME}api/sagas"), suspend(client, handle)):
                assert (answer.status_code, answer.json()["error"]) == (HTTPStatus.FORBIDDEN, "session")
                assert "log in" in answer.json()["message"]
            assert client.get(HOME).headers["Location"] == f"/admin/login/?next={HOME}"
        assert acted(office, handle) == []


class TestTokens:
    @pytest.mark.parametrize("setting", [None, "CSRF_COOKIE_HTTPONLY", "CSRF_USE_SESSIONS"])
    def test_only_who_was_given_the_token_acts(self, office: Office, setting: str | None) -> None:
        with override_settings(**({setting: True} if setting else {})):
            handle, client = office.start(), office.operator(enforce_csrf_checks=True)
            token = client.get(f"{HOME}api/session").json()["csrf_token"]
            for wrong in ({}, {"X-CSRFToken": "a" * 64}, {"X-CSRFToken": token, "Origin": "https://evil.example"}):
                assert suspend(client, handle, **wrong).status_code == HTTPStatus.FORBIDDEN
            assert acted(office, handle) == []
            assert suspend(client, handle, **{"X-CSRFToken": token}).status_code == HTTPStatus.OK
        assert acted(office, handle) == ["olga asked for suspend: recalled"]


class TestActing:
    def test_the_history_keeps_who_and_why(self, office: Office) -> None:
        handle = office.in_doubt()
        body = {"step": "pack", "resolution": "done", "result": "p-1", "reason": "it stands here"}
        seen = {"expected_version": office.version(handle)}
        path = f"api/sagas/{handle.id}/resolve"
        operator = office.operator()
        done = post(operator, path, {**body, **seen})
        assert (done.status_code, done.json()) == (200, {"id": handle.id, "verb": "resolve", "state": "RUNNING"})
        assert acted(office, handle) == ["olga asked for resolve of pack as done: it stands here"]
        late = post(operator, path, {**body, **seen})
        assert late.status_code == HTTPStatus.CONFLICT
        assert "the saga has moved on" in late.json()["message"]

    def test_by_post_alone(self, office: Office) -> None:
        handle, client = office.start(), office.operator()
        for ask in (client.get, client.head, client.put, client.delete):
            answer = ask(f"{HOME}api/sagas/{handle.id}/suspend?reason=x")
            assert (answer.status_code, answer.headers["Allow"]) == (HTTPStatus.METHOD_NOT_ALLOWED, "POST")
        assert acted(office, handle) == []

    def test_nothing_is_read_by_post(self, office: Office) -> None:
        answer = post(office.operator(), "api/sagas", {})
        assert (answer.status_code, answer.headers["Allow"]) == (HTTPStatus.METHOD_NOT_ALLOWED, "GET, HEAD")

    def test_what_is_no_json_is_refused(self, office: Office) -> None:
        handle, operator = office.start(), office.operator()
        for sent in ("", "reason=x", "{", '{"reason": "x", "result": NaN}', "[" * 5000, "[]", b"\xff"):
            answer = operator.post(f"{HOME}api/sagas/{handle.id}/suspend", sent, content_type="application/json")
            assert (answer.status_code, answer.json()["message"]) == (400, "what is sent is no JSON object"), sent[:9]
        assert acted(office, handle) == []

    def test_an_error_of_the_library_is_told(self, office: Office) -> None:
        saga_id, operator = office.start().id, office.operator()
        for path, reason, status in (
            (f"api/sagas/{saga_id}/suspend", " ", HTTPStatus.CONFLICT),
            (f"api/sagas/{saga_id}/explode", "x", HTTPStatus.BAD_REQUEST),
            ("api/sagas/no-such/suspend", "x", HTTPStatus.NOT_FOUND),
        ):
            answer = post(operator, path, {"reason": reason})
            assert (answer.status_code, set(answer.json())) == (status, {"error", "message"}), path

    def test_no_transaction_of_the_request_is_around_it(self, office: Office) -> None:
        """With ATOMIC_REQUESTS it would hold SQLite's lock, for which the coordinator waits."""
        handle, operator = office.start(), office.operator()
        connections.settings["default"]["ATOMIC_REQUESTS"] = True
        assert suspend(operator, handle).status_code == HTTPStatus.OK


class TestReading:
    def test_the_api_is_the_consoles(self, office: Office) -> None:
        doubt, other = office.in_doubt(key="order-9"), office.start(tags={"customer": 7})
        viewer = office.viewer()
        listed = viewer.get(f"{HOME}api/sagas", {"tag": "customer=7"}).json()
        assert [each["id"] for each in listed["sagas"]] == [other.id]
        assert viewer.get(f"{HOME}api/sagas/{doubt.id}").json()["key"] == "order-9"
        assert sum(each["count"] for each in viewer.get(f"{HOME}api/counts").json()["counts"]) == 2
        graph = viewer.get(f"{HOME}api/sagas/{doubt.id}/graph.svg")
        assert graph.headers["Content-Type"] == console.GRAPH_TYPE
        assert graph.content.startswith(b"<svg")
        assert viewer.get(f"{HOME}api/sagas", {"shape": "round"}).status_code == HTTPStatus.BAD_REQUEST
        assert viewer.get(f"{HOME}api/sagas/no-such").status_code == HTTPStatus.NOT_FOUND

    def test_every_file_of_the_page(self, office: Office) -> None:
        viewer = office.viewer()
        for name, content_type in console.ASSETS.items():
            found = viewer.get(HOME + name)
            assert (found.headers["Content-Type"], found.content) == (content_type, console.asset(name).body)
        for name in ("frame.css", "frame.js"):
            assert viewer.get(HOME + name).status_code == HTTPStatus.OK
        for name in ("routes.py", "../routes.py", "%2e%2e/routes.py", "static/frame.css", "api", "api/nothing"):
            missing = viewer.get(HOME + name)
            assert missing.status_code == HTTPStatus.NOT_FOUND, name


class TestPage:
    def test_the_consoles_page_stands_in_the_admins(self, office: Office) -> None:
        answer = office.viewer().get(HOME)
        shown = answer.content.decode()
        for words in (
            'id="saga-main"',
            '<script type="module" src="console.js">',
            f'href="{LIST}"',
            "<strong>vera</strong>",
        ):
            assert words in shown
        assert shown.count("<main") == shown.count('id="main"') == 1  # the admin's own
        assert "style=" not in shown

    def test_what_a_browser_lets_it_do(self, office: Office) -> None:
        headers = office.viewer().get(HOME).headers
        policy = headers["Content-Security-Policy"].split("; ")
        for rule in ("default-src 'none'", "script-src 'self'", "form-action 'self'", "frame-ancestors 'none'"):
            assert rule in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "no-store" in headers["Cache-Control"]

    def test_the_admins_files_are_on_another_host(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        there = "saga_celery.contrib.django.admin.console.page.static"
        monkeypatch.setattr(there, lambda name: f"https://cdn.example:8443/static/{name}?v=1")
        policy = office.viewer().get(HOME).headers["Content-Security-Policy"].split("; ")
        assert "script-src 'self' https://cdn.example:8443" in policy
        assert "connect-src 'self'" in policy

    def test_the_ways_to_it(self, office: Office) -> None:
        handle, viewer = office.start(), office.viewer()
        assert f'<a href="{HOME}">Console</a>' in viewer.get(LIST).content.decode()
        assert f'href="{HOME}#/saga/{handle.id}"' in viewer.get(page(handle)).content.decode()


class TestOtherSites:
    def test_a_site_of_ones_own(self, office: Office) -> None:
        """All links stay in it; and sagas in an admin that is none of ours have no console."""
        known = apps.get_model("saga_celery", "Saga")
        desk, plain = admin.AdminSite(name="desk"), admin.AdminSite(name="plain")
        desk.register(known, type(admin.site.get_model_admin(known)))
        plain.register(known, admin.ModelAdmin)
        there = "/desk/saga_celery/saga/"
        with override_settings(ROOT_URLCONF=(route_of("desk/", desk.urls), route_of("plain/", plain.urls))):
            handle, viewer = office.start(), office.viewer()
            assert f'href="{there}console/"' in viewer.get(there).content.decode()
            assert (
                f'href="{there}console/#/saga/{handle.id}"'
                in viewer.get(f"{there}{handle.id}/change/").content.decode()
            )
            assert f'href="{there}"' in viewer.get(f"{there}console/").content.decode()
            assert viewer.get(f"{there}console/api/sagas").json()["sagas"][0]["id"] == handle.id
            assert Client().get(f"{there}console/").headers["Location"] == f"/desk/login/?next={there}console/"
            assert "console" not in viewer.get("/plain/saga_celery/saga/").content.decode().lower()
