"""The page and its API in a Flask app: who may look, who may act, and from where."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from flask import Flask, redirect, request
from flask_wtf.csrf import CSRFProtect

from saga_celery import NotConfigured
from saga_celery.contrib import console
from saga_celery.contrib.flask import SagaCelery
from tests.cli.conftest import shop, unmigrated

__all__ = ["shop", "unmigrated"]

OURS = {"X-Saga-Console": "1"}
LOGGED_IN = {"X-User": "ann"}


def who() -> str | None:
    return request.headers.get("X-User")


@pytest.fixture
def flask_app(shop):
    app = Flask("shop")
    app.config["SECRET_KEY"] = "for the tests"
    app.extensions["celery"] = shop.app
    SagaCelery(app)
    return app


@pytest.fixture
def mounted(flask_app):
    """A browser that is logged in, by default where sagas may be operated."""

    def mount(**options):
        options = {"authorize": who, "writable": True, **options}
        flask_app.register_blueprint(SagaCelery().blueprint(**options), url_prefix="/sagas")
        browser = flask_app.test_client()
        browser.environ_base["HTTP_X_USER"] = "ann"
        return browser

    return mount


def cancel(browser, saga_id, *, headers=OURS, json=None):
    body = {"reason": "unwanted"} if json is None else json
    return browser.post(f"/sagas/api/sagas/{saga_id}/cancel", json=body, headers=headers)


def cancel_all(browser, *, headers=OURS, expected_count=1):
    body = {"filter": {"state": "PENDING"}, "expected_count": expected_count, "reason": "unwanted"}
    return browser.post("/sagas/api/bulk/cancel", json=body, headers=headers)


def untouched(shop, saga_id):
    return shop.sagas.store.queries.row(saga_id).version == 0


class TestMounting:
    def test_without_authorization_it_is_refused(self):
        with pytest.raises(NotConfigured, match=r"needs `authorize=`.* wants `public=True`"):
            SagaCelery().blueprint()

    def test_nobody_acts_anonymously(self):
        with pytest.raises(NotConfigured, match="keeps who asked for what"):
            SagaCelery().blueprint(public=True, writable=True)

    def test_a_public_one_can_be_read_by_everybody(self, shop, flask_app):
        flask_app.register_blueprint(SagaCelery().blueprint(public=True), url_prefix="/sagas")
        browser, saga_id = flask_app.test_client(), shop.start()
        assert browser.get(f"/sagas/api/sagas/{saga_id}").status_code == HTTPStatus.OK
        assert cancel(browser, saga_id).status_code == HTTPStatus.FORBIDDEN


class TestLooking:
    def test_the_page_and_its_files(self, mounted):
        browser = mounted()
        assert browser.get("/sagas").headers["Location"].endswith("/sagas/")
        page = browser.get("/sagas/")
        assert page.content_type == "text/html; charset=utf-8"
        assert b'src="console.js"' in page.data
        assert browser.get("/sagas/console.js").data == console.asset("console.js").body
        assert browser.get("/sagas/console.css").status_code == HTTPStatus.OK
        assert browser.get("/sagas/assets.py").status_code == HTTPStatus.NOT_FOUND

    def test_lists_and_single_sagas(self, shop, mounted):
        browser, saga_id = mounted(), shop.in_doubt(key="k")
        assert browser.get("/sagas/api/sagas?state=FAILED").json["sagas"][0]["id"] == saga_id
        assert browser.get(f"/sagas/api/sagas/{saga_id}").json["key"] == "k"
        assert browser.get("/sagas/api/counts?name=shop.order").json["counts"][0]["count"] == 1
        assert browser.get("/sagas/api/counts?name=shop.parcel").json["counts"] == []
        assert browser.get("/sagas/api/matching?state=FAILED").json == {"count": 1, "more": False}

    def test_the_graph_is_a_picture(self, shop, mounted):
        browser, saga_id = mounted(), shop.in_doubt()
        picture = browser.get(f"/sagas/api/sagas/{saga_id}/graph.svg?version=3")
        assert picture.content_type == "image/svg+xml; charset=utf-8"
        assert picture.get_data(as_text=True) == console.graph(shop.sagas, saga_id)
        assert browser.get("/sagas/api/sagas/none/graph.svg").status_code == HTTPStatus.NOT_FOUND

    def test_every_answer_forbids_foreign_scripts_and_copies(self, mounted):
        browser = mounted()
        for path in ("/sagas/", "/sagas/console.js", "/sagas/api/sagas", "/sagas/api/sagas/none", "/sagas/api/session"):
            headers = browser.get(path).headers
            assert {name: headers[name] for name in console.HEADERS} == dict(console.HEADERS)

    @pytest.mark.parametrize(
        "path",
        [
            "",
            "console.js",
            "api/session",
            "api/sagas",
            "api/counts",
            "api/matching",
            "api/sagas/x",
            "api/sagas/x/graph.svg",
        ],
    )
    def test_who_is_not_authorized_sees_nothing(self, mounted, path):
        browser = mounted()
        del browser.environ_base["HTTP_X_USER"]
        assert browser.get(f"/sagas/{path}").status_code == HTTPStatus.FORBIDDEN

    def test_the_hook_may_send_people_to_the_login(self, mounted):
        browser = mounted(authorize=lambda: redirect("/login"))
        assert browser.get("/sagas/").headers["Location"] == "/login"
        assert browser.get("/sagas/api/sagas").status_code == HTTPStatus.FOUND

    @pytest.mark.parametrize("answer", [True, "", "  ", 7])
    def test_a_hook_that_names_nobody_lets_nobody_in(self, mounted, answer):
        assert mounted(authorize=lambda: answer).get("/sagas/api/sagas").status_code == HTTPStatus.FORBIDDEN

    def test_errors_are_sentences(self, mounted):
        browser = mounted()
        missing, wrong = browser.get("/sagas/api/sagas/none"), browser.get("/sagas/api/sagas?state=x")
        assert (missing.status_code, missing.json["error"]) == (HTTPStatus.NOT_FOUND, "not_found")
        assert (wrong.status_code, wrong.json["error"]) == (HTTPStatus.BAD_REQUEST, "input_rejected")


class TestActing:
    def test_an_action_is_carried_out_in_the_name_of_who_asked(self, shop, mounted):
        browser, saga_id = mounted(), shop.start()
        done = cancel(browser, saga_id, headers={**OURS, "Sec-Fetch-Site": "same-origin"})
        assert (done.status_code, done.json["state"]) == (HTTPStatus.OK, "COMPENSATED")
        assert "ann asked for cancel: unwanted" in browser.get(f"/sagas/api/sagas/{saga_id}").get_data(as_text=True)

    def test_it_is_read_only_unless_said_otherwise(self, shop, flask_app):
        flask_app.register_blueprint(SagaCelery().blueprint(authorize=who), url_prefix="/sagas")
        browser, saga_id = flask_app.test_client(), shop.start()
        refused = cancel(browser, saga_id, headers={**OURS, **LOGGED_IN})
        assert (refused.status_code, refused.json["error"]) == (HTTPStatus.FORBIDDEN, "read_only")
        assert untouched(shop, saga_id)

    @pytest.mark.parametrize(("name", "status"), [("ann", HTTPStatus.OK), ("bob", HTTPStatus.FORBIDDEN)])
    def test_some_may_act_and_others_look(self, shop, mounted, name, status):
        browser, saga_id = mounted(writable=lambda person: person == "ann"), shop.start()
        browser.environ_base["HTTP_X_USER"] = name
        assert browser.get("/sagas/api/session").json["writable"] is (name == "ann")
        assert cancel(browser, saga_id).status_code == status
        assert untouched(shop, saga_id) is (name != "ann")

    def test_without_authorization_nothing_happens(self, shop, mounted):
        browser, saga_id = mounted(), shop.start()
        del browser.environ_base["HTTP_X_USER"]
        assert cancel(browser, saga_id).status_code == HTTPStatus.FORBIDDEN
        assert untouched(shop, saga_id)

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"X-Saga-Console": "0"},
            {**OURS, "Sec-Fetch-Site": "cross-site"},
            {**OURS, "Sec-Fetch-Site": "same-site"},
            {**OURS, "Sec-Fetch-Site": "none"},
            {**OURS, "Origin": "https://elsewhere.example"},
            {**OURS, "Origin": "null"},
        ],
    )
    def test_what_another_site_makes_a_browser_send_is_refused(self, shop, mounted, headers):
        browser, saga_id = mounted(), shop.start()
        refused = cancel(browser, saga_id, headers=headers)
        assert (refused.status_code, refused.json["error"]) == (HTTPStatus.FORBIDDEN, "csrf")
        assert untouched(shop, saga_id)

    def test_a_form_is_refused(self, shop, mounted):
        browser, saga_id = mounted(), shop.start()
        sent = browser.post(f"/sagas/api/sagas/{saga_id}/cancel", data={"reason": "unwanted"}, headers=OURS)
        assert (sent.status_code, sent.json["error"]) == (HTTPStatus.FORBIDDEN, "csrf")
        assert untouched(shop, saga_id)

    @pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
    def test_only_post_acts(self, shop, mounted, method):
        browser, saga_id = mounted(), shop.start()
        sent = getattr(browser, method)(f"/sagas/api/sagas/{saga_id}/cancel", json={"reason": "unwanted"}, headers=OURS)
        assert sent.status_code == HTTPStatus.METHOD_NOT_ALLOWED
        assert untouched(shop, saga_id)

    @pytest.mark.parametrize("headers", [OURS, {**OURS, "Origin": "http://localhost"}])
    def test_our_own_page_and_programs_are_not_refused(self, shop, mounted, headers):
        assert cancel(mounted(), shop.start(), headers=headers).status_code == HTTPStatus.OK

    @pytest.mark.parametrize("body", [{}, {"reason": " "}])
    def test_without_a_reason_nothing_happens(self, shop, mounted, body):
        browser, saga_id = mounted(), shop.start()
        refused = cancel(browser, saga_id, json=body)
        assert (refused.status_code, refused.json["error"]) == (HTTPStatus.CONFLICT, "refused")
        assert "say why" in refused.json["message"]
        assert untouched(shop, saga_id)

    def test_what_is_no_json_is_refused(self, shop, mounted):
        headers = {**OURS, "Content-Type": "application/json"}
        sent = mounted().post(f"/sagas/api/sagas/{shop.start()}/cancel", data="{", headers=headers)
        assert (sent.status_code, sent.json["error"]) == (HTTPStatus.BAD_REQUEST, "input_rejected")


class TestActingOnMany:
    def test_it_is_carried_out_in_the_name_of_who_asked(self, shop, mounted):
        browser, saga_id = mounted(), shop.start()
        done = cancel_all(browser)
        assert (done.status_code, done.json) == (HTTPStatus.OK, {"verb": "cancel", "done": 1, "refused": []})
        assert "ann asked for cancel: unwanted" in browser.get(f"/sagas/api/sagas/{saga_id}").get_data(as_text=True)

    def test_only_post_acts(self, mounted):
        assert mounted().get("/sagas/api/bulk/cancel").status_code == HTTPStatus.METHOD_NOT_ALLOWED

    def test_when_others_fit_by_now_nothing_happens(self, shop, mounted):
        browser, saga_id = mounted(), shop.start()
        refused = cancel_all(browser, expected_count=2)
        assert (refused.status_code, refused.json["error"]) == (HTTPStatus.CONFLICT, "stale_version")
        assert "look again: 1 now, not 2" in refused.json["message"]
        assert untouched(shop, saga_id)

    @pytest.mark.parametrize("headers", [{}, {**OURS, "Sec-Fetch-Site": "cross-site"}, {**OURS, "Origin": "null"}])
    def test_what_another_site_makes_a_browser_send_is_refused(self, shop, mounted, headers):
        browser, saga_id = mounted(), shop.start()
        refused = cancel_all(browser, headers=headers)
        assert (refused.status_code, refused.json["error"]) == (HTTPStatus.FORBIDDEN, "csrf")
        assert untouched(shop, saga_id)

    def test_it_is_read_only_unless_said_otherwise(self, shop, mounted):
        browser, saga_id = mounted(writable=False), shop.start()
        assert cancel_all(browser).json["error"] == "read_only"
        del browser.environ_base["HTTP_X_USER"]
        assert cancel_all(browser).status_code == HTTPStatus.FORBIDDEN
        assert untouched(shop, saga_id)


class TestBesideFlaskWtf:
    @pytest.fixture(params=["before", "after"])
    def protected(self, request, flask_app, mounted):
        """Whichever of the two the app's factory calls first."""
        if request.param == "before":
            CSRFProtect(flask_app)
        browser = mounted()
        if request.param == "after":
            CSRFProtect(flask_app)
        return browser

    def test_the_page_sends_the_apps_own_token(self, shop, protected):
        saga_id = shop.start()
        token = protected.get("/sagas/api/session").json["csrf_token"]
        assert cancel(protected, saga_id, headers={**OURS, "X-CSRFToken": token}).status_code == HTTPStatus.OK

    def test_without_it_the_app_refuses(self, shop, protected):
        saga_id = shop.start()
        assert cancel(protected, saga_id).status_code == HTTPStatus.BAD_REQUEST
        assert untouched(shop, saga_id)

    def test_an_app_without_it_has_no_token(self, mounted):
        assert mounted().get("/sagas/api/session").json == {
            "actor": "ann",
            "writable": True,
            "csrf_token": None,
            "task_url": None,
        }
