"""Sagas in Django's admin: who sees them, how they are found, and what can be done to them, by whom."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http import HTTPStatus
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from saga_celery import SagaHandle
from saga_celery.core.states import StepStatus
from tests.contrib.django.conftest import empty_tables, on, shop_on
from tests.contrib.django.office import LIST, Office, admin_tables, define, listed, office, page
from tests.docs.test_pages import ROOT

__all__ = ["admin_tables", "office"]


def post(client: Client, office: Office, handle: SagaHandle[Any], verb: str, step: str = "", **more: Any) -> Any:
    """Send a form of the page as the person sees it now."""
    fields = {"verb": verb, "step": step, "expected_version": office.version(handle), "reason": "asked <them>", **more}
    return client.post(page(handle), {name: value for name, value in fields.items() if value is not None})


class TestSeeing:
    def test_nobody_sees_sagas_without_the_permission(self, office: Office) -> None:
        handle = office.start()
        assert Client().get(LIST).headers["Location"].startswith("/admin/login/")
        stranger = office.client("sam")
        for url in (LIST, page(handle)):
            assert stranger.get(url).status_code == HTTPStatus.FORBIDDEN
        assert "saga_celery" not in stranger.get("/admin/").content.decode()
        assert LIST in office.viewer().get("/admin/").content.decode()

    def test_nobody_changes_rows_by_hand(self, office: Office) -> None:
        handle = office.start()
        client, boss = Client(), office.person("boss")
        boss.is_superuser = True
        boss.save()
        client.force_login(boss)
        for url in (f"{LIST}add/", f"{LIST}{handle.id}/delete/"):
            assert client.post(url, {"post": "yes"}).status_code == HTTPStatus.FORBIDDEN
        changed = client.post(page(handle), {"name": "other", "state": "COMPLETED"})
        assert (changed.status_code, handle.state) == (HTTPStatus.BAD_REQUEST, "RUNNING")

    def test_a_saga_that_is_not_there(self, office: Office) -> None:
        viewer = office.viewer()
        assert viewer.get(f"{LIST}no-such/change/").status_code == HTTPStatus.NOT_FOUND
        assert viewer.get(f"{LIST}x/history/").headers["Location"] == f"{LIST}x/change/#history"


class TestFinding:
    def test_by_id_key_and_tags(self, office: Office) -> None:
        tea = office.start(key="order:7", tags={"customer": 7, "country": "gb"})
        coffee = office.start(key="order:8", tags={"customer": 7, "for": "Mr X"})
        viewer = office.viewer()
        assert listed(viewer) == [coffee.id, tea.id]
        for text in (tea.id, tea.id.upper(), "order:7", " order:7 ", "customer:7 country=gb", "country=gb"):
            assert listed(viewer, q=text) == [tea.id], text
        for text in (tea.id[:6], "customer=7", "customer:7"):
            assert listed(viewer, q=text) == [coffee.id, tea.id], text
        assert listed(viewer, q='for="Mr X"') == [coffee.id]
        for text in ("order:", "order", "ORDER:7", "customer=", "customer=8", "tea", "%", "customer=7 country=fr"):
            assert listed(viewer, q=text) == [], text

    def test_by_filters(self, office: Office) -> None:
        doubt, other = office.in_doubt(), office.shop.under_way()
        other.suspend(reason="x", actor="ann")
        viewer = office.viewer()
        assert listed(viewer, attention="letters") == [doubt.id]
        assert listed(viewer, attention="suspended") == [other.id]
        assert listed(viewer, name="shop.order") == [other.id]
        assert listed(viewer, name="shop.delivery", state="FAILED") == [doubt.id]
        assert (
            listed(viewer, created_at__gte="2020-01-01 00:00:00+00:00", created_at__lt="2021-01-01 00:00:00+00:00")
            == []
        )
        assert len(listed(viewer, created_at__gte="2020-01-01 00:00:00+00:00")) == 2
        shown = viewer.get(LIST).content.decode()
        for name in ("shop.delivery", "shop.order"):
            assert f"?name={name}" in shown

    def test_nobody_guesses_at_what_is_not_shown(self, office: Office) -> None:
        office.start()
        answer = office.viewer().get(LIST, {"input__contains": "4111"})
        assert answer.status_code == HTTPStatus.BAD_REQUEST

    def test_a_row(self, office: Office) -> None:
        office.in_doubt(key="order-7", tags={"customer": 7})
        shown = office.viewer().get(LIST).content.decode()
        for words in (
            '<span class="saga-state FAILED">FAILED</span>',
            "order-7",
            "customer=7",
            "pack: in doubt: nobody knows whether it took effect",
            '<span class="saga-letters">1</span>',
        ):
            assert words in shown
        assert "4111" not in shown

    def test_it_takes_as_many_queries_however_many_sagas_there_are(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        viewer = office.viewer()

        def queries() -> list[str]:
            with CaptureQueriesContext(connection) as captured:
                listed(viewer)
            return [query["sql"] for query in captured if "saga" in query["sql"]]

        office.in_doubt(tags={"a": 1})
        few = queries()
        for _ in range(12):
            office.in_doubt(tags={"a": 1})
        many = queries()
        assert len(many) == len(few) <= 7
        (counted,) = [sql for sql in many if "COUNT(*)" in sql]
        assert "LIMIT 1001" in counted
        assert not [sql for sql in many if "input" in sql or "activities" in sql]

    def test_it_stops_counting(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("saga_celery.contrib.django.admin.change_list.MOST", 2)
        viewer = office.viewer()
        handles = [office.start() for _ in range(2)]
        assert "newest 2" not in viewer.get(LIST).content.decode()
        handles.append(office.start())
        assert "These are the newest 2. There are more" in viewer.get(LIST).content.decode()

    def test_every_search_has_an_index(self, office: Office) -> None:
        """SQLite says how it goes about a query."""
        if connection.vendor != "sqlite":
            pytest.skip("its plans are read on SQLite only: the indexes are the same everywhere")
        handle, viewer = office.start(key="k", tags={"a": 1}), office.viewer()
        for query in ({}, {"q": handle.id[:9]}, {"q": "k"}, {"q": "a=1"}, {"state": "RUNNING"}, {"name": "shop.order"}):
            with CaptureQueriesContext(connection) as captured:
                listed(viewer, **query)
            for each in captured:
                if "saga" in each["sql"] and not each["sql"].startswith(("SAVEPOINT", "EXPLAIN")):
                    assert_indexed(each["sql"])


def assert_indexed(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}".replace("%", "%%"))
        plan = [row[-1] for row in cursor.fetchall()]
    scanned = [line for line in plan if line.startswith("SCAN saga")]
    assert not scanned or " WHERE " not in sql, f"{sql}\n{plan}"  # what is only put in order ends with its LIMIT


class TestPage:
    def test_it_tells_everything_of_a_saga(self, office: Office) -> None:
        handle = office.resting(key="order-7", tags={"customer": 7})
        shown = office.viewer().get(page(handle)).content.decode()
        for words in (
            "shop.delivery order-7",
            '<span class="saga-state RUNNING">RUNNING</span>',
            "customer=7",
            "shop.GatewayDown: no &lt;b&gt;luck&lt;/b&gt;",
            "rests before a retry",
            "1/3",
            "saga taken up",
            'data-step="charge" data-look="busy"',
            'data-step="reserve" data-look="done"',
            'data-step="ship" data-look="idle"',
            "◆ ship",
            "&quot;sku&quot;: &quot;tea&quot;",
        ):
            assert words in shown, words

    def test_what_is_secret_stays_so(self, office: Office) -> None:
        handle = office.in_doubt()
        shown = office.viewer().get(page(handle)).content.decode()
        assert "&quot;paid&quot;: 12" in shown
        for secret in ("4111", "7423"):
            assert secret not in shown

    def test_who_may_only_look_sees_no_forms(self, office: Office) -> None:
        handle = office.in_doubt()
        viewer, operator = office.viewer(), office.operator()
        assert 'name="verb"' not in viewer.get(page(handle)).content.decode()
        shown = operator.get(page(handle)).content.decode()
        for title in ("Resolve pack", "Retry pack", "Skip pack"):
            assert f"<summary>{title}</summary>" in shown
        assert "<summary>Suspend" not in shown


def acted(office: Office, handle: SagaHandle[Any]) -> list[tuple[str, str]]:
    """Who asked for what, by the history."""
    history = office.record(handle)["history"]
    return [(entry["actor"], entry["facts"][0]["text"]) for entry in history if entry["actor"]]


def step_of(office: Office, handle: SagaHandle[Any], name: str) -> Any:
    state = office.shop.sagas.store.load(handle.id)
    assert state is not None
    return state.step(name)


class TestActing:
    def test_cancel(self, office: Office) -> None:
        handle, operator = office.start(), office.operator()
        answer = post(operator, office, handle, "cancel")
        assert (answer.status_code, answer.headers["Location"]) == (HTTPStatus.FOUND, page(handle))
        assert acted(office, handle) == [("olga", "olga asked for cancel: asked <them>")]
        shown = operator.get(page(handle)).content.decode()
        assert f"Cancel: the saga is {handle.state}." in shown
        assert "olga asked for cancel: asked &lt;them&gt;" in shown

    def test_retry(self, office: Office) -> None:
        handle = office.resting()
        assert post(office.operator(), office, handle, "retry", "charge").status_code == HTTPStatus.FOUND
        assert acted(office, handle) == [("olga", "olga asked for retry of charge: asked <them>")]
        assert step_of(office, handle, "charge").status is not StepStatus.BACKING_OFF

    def test_skip_with_a_result(self, office: Office) -> None:
        handle = office.in_doubt()
        answer = post(office.operator(), office, handle, "skip", "pack", result='"by hand"')
        assert answer.status_code == HTTPStatus.FOUND
        assert (step_of(office, handle, "pack").result, handle.state) == ("by hand", "RUNNING")

    def test_resolve(self, office: Office) -> None:
        handle = office.in_doubt()
        answer = post(office.operator(), office, handle, "resolve", "pack", resolution="done", result='"p-1"')
        assert answer.status_code == HTTPStatus.FOUND
        assert step_of(office, handle, "pack").status is StepStatus.SUCCEEDED
        assert acted(office, handle) == [("olga", "olga asked for resolve of pack as done: asked <them>")]

    def test_send(self, office: Office) -> None:
        handle, operator = office.waiting(), office.operator()
        assert "<summary>Send approve</summary>" in operator.get(page(handle)).content.decode()
        wrong = post(operator, office, handle, "send", "approve", event='{"ok": "perhaps"}', reason=None)
        assert wrong.status_code == HTTPStatus.BAD_REQUEST
        assert "{&quot;ok&quot;: &quot;perhaps&quot;}" in wrong.content.decode()
        answer = post(operator, office, handle, "send", "approve", event='{"ok": true}', reason=None)
        assert answer.status_code == HTTPStatus.FOUND
        office.shop.look(handle)
        assert step_of(office, handle, "approve").result == {"ok": True}
        assert "olga" in json.dumps(office.record(handle)["history"])

    def test_suspend_and_resume(self, office: Office) -> None:
        handle, operator = office.start(), office.operator()
        post(operator, office, handle, "suspend")
        assert handle.snapshot().suspended
        shown = operator.get(page(handle)).content.decode()
        assert "by olga: asked &lt;them&gt;" in shown
        assert "<summary>Resume</summary>" in shown
        post(operator, office, handle, "resume")
        assert not handle.snapshot().suspended

    def test_without_the_permission_it_is_refused(self, office: Office) -> None:
        handle = office.start()
        assert post(office.viewer(), office, handle, "cancel").status_code == HTTPStatus.FORBIDDEN
        blind = office.client("bob", "operate_saga")
        assert post(blind, office, handle, "cancel").status_code == HTTPStatus.FORBIDDEN
        assert acted(office, handle) == []

    def test_without_the_token_it_is_refused(self, office: Office) -> None:
        handle, operator = office.start(), office.operator(enforce_csrf_checks=True)
        assert post(operator, office, handle, "cancel").status_code == HTTPStatus.FORBIDDEN
        assert acted(office, handle) == []
        operator.get(page(handle))
        token = operator.cookies["csrftoken"].value
        answer = post(operator, office, handle, "cancel", csrfmiddlewaretoken=token)
        assert answer.status_code == HTTPStatus.FOUND

    @pytest.mark.parametrize("reason", [None, "", "  "])
    def test_without_a_reason_it_is_refused(self, office: Office, reason: str | None) -> None:
        handle = office.start()
        answer = post(office.operator(), office, handle, "cancel", reason=reason)
        assert answer.status_code == HTTPStatus.BAD_REQUEST
        assert "Say why: the reason is kept in the history" in answer.content.decode()
        assert acted(office, handle) == []

    def test_a_page_that_is_stale_is_refused(self, office: Office) -> None:
        """What was typed stays, and can be sent again about what is shown then."""
        handle, operator = office.start(), office.operator()
        seen = office.version(handle)
        office.succeed(handle, reserve="r-1")
        answer = post(operator, office, handle, "cancel", expected_version=seen, reason="too late?")
        shown = answer.content.decode()
        assert answer.status_code == HTTPStatus.CONFLICT
        assert f"the saga has moved on to version {office.version(handle)} and is RUNNING" in shown
        assert 'value="too late?"' in shown
        assert f'name="expected_version" value="{office.version(handle)}"' in shown
        assert f'name="expected_version" value="{seen}"' not in shown
        assert acted(office, handle) == []

    def test_what_the_state_does_not_allow_is_refused(self, office: Office) -> None:
        handle, operator = office.start(), office.operator()
        answer = post(operator, office, handle, "skip", "charge", reason="typed")
        assert answer.status_code == HTTPStatus.CONFLICT
        assert "<details open>" in answer.content.decode()
        assert 'value="typed"' in answer.content.decode()
        assert post(operator, office, handle, "explode").status_code == HTTPStatus.BAD_REQUEST
        missing = operator.post(f"{LIST}no-such/change/", {"verb": "cancel", "expected_version": 1, "reason": "x"})
        assert missing.status_code == HTTPStatus.NOT_FOUND

    @pytest.mark.parametrize("result", ["{", "NaN", "[" * 5000])
    def test_what_is_no_json_is_refused(self, office: Office, result: str) -> None:
        handle = office.in_doubt()
        answer = post(office.operator(), office, handle, "skip", "pack", result=result)
        assert answer.status_code == HTTPStatus.BAD_REQUEST
        assert "This is no JSON" in answer.content.decode()
        assert acted(office, handle) == []


class TestManyAtOnce:
    @staticmethod
    def ask(client: Client, *handles: SagaHandle[Any], **more: Any) -> Any:
        ticked = {"_selected_action": [handle.id for handle in handles], "index": 0, "select_across": 0}
        return client.post(LIST, {"action": "cancel_selected", "reason": "recalled", **ticked, **more}, follow=True)

    def test_each_is_operated_and_those_that_refuse_are_told_of(self, office: Office) -> None:
        first, second, doubt, left = office.start(), office.start(), office.in_doubt(), office.start()
        shown = self.ask(office.operator(), first, second, doubt).content.decode()
        assert "Cancel: carried out at 2 sagas." in shown
        assert f"Cancel saga {doubt.id}: " in shown
        for handle in (first, second):
            assert acted(office, handle) == [("olga", "olga asked for cancel: recalled")]
        assert acted(office, left) == acted(office, doubt) == []

    def test_what_is_parked_is_retried(self, office: Office) -> None:
        handle = office.in_doubt()
        self.ask(office.operator(), handle, action="retry_selected")
        assert (handle.state, acted(office, handle)) == ("RUNNING", [("olga", "olga asked for retry: recalled")])

    def test_without_reason_or_permission_nothing_is_done(self, office: Office) -> None:
        handle = office.start()
        assert "say why" in self.ask(office.operator(), handle, reason=" ").content.decode()
        viewer = office.viewer()
        assert self.ask(viewer, handle).status_code == HTTPStatus.FORBIDDEN
        assert 'name="action"' not in viewer.get(LIST).content.decode()
        assert acted(office, handle) == []

    def test_too_many_are_refused(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("saga_celery.contrib.django.admin.bulk.MOST", 1)
        handles = [office.start(), office.start()]
        shown = self.ask(office.operator(), handles[0], select_across=1).content.decode()
        assert "at most 1 at once" in shown
        assert not any(acted(office, handle) for handle in handles)


class TestElsewhere:
    def test_the_sagas_are_in_another_database(
        self, admin_tables: None, kept_url: str, kept_file: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The people, and their sessions, are in `default`. There is no router."""
        with shop_on(monkeypatch, default=on(kept_url), sagas=on(kept_file)) as shop:
            empty_tables("sagas")
            shop.celery.conf.saga_database_alias = "sagas"
            shop.sagas._settings = None
            office = Office(shop, define())
            handle, operator = office.in_doubt(key="k", tags={"a": 1}), office.operator()
            try:
                for query in ({}, {"q": "k"}, {"q": "a=1"}, {"q": handle.id}, {"attention": "letters"}):
                    assert listed(operator, **query) == [handle.id]
                assert post(operator, office, handle, "skip", "pack", result='"p"').status_code == HTTPStatus.FOUND
            finally:
                office.dismiss()
            assert acted(office, handle)
            assert apps.get_model("saga_celery", "Saga").objects.using("sagas").count() == 1

    def test_no_transaction_of_the_request_is_around_what_is_done(self, office: Office) -> None:
        """With ATOMIC_REQUESTS it would hold SQLite's lock, for which the coordinator waits."""
        handle, operator = office.start(), office.operator()
        connections.settings["default"]["ATOMIC_REQUESTS"] = True
        assert post(operator, office, handle, "cancel").status_code == HTTPStatus.FOUND

    def test_sagas_in_a_database_that_django_does_not_know_are_not_shown(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        office.shop.celery.conf.saga_database_url = "sqlite:///elsewhere.db"
        office.shop.sagas._settings = None
        assert office.viewer().get(LIST).status_code == HTTPStatus.FORBIDDEN

    def test_a_project_without_the_admin_does_not_load_it(self) -> None:
        code = (
            "import sys, django; from django.conf import settings;"
            "settings.configure(INSTALLED_APPS=['django.contrib.contenttypes', 'saga_celery.contrib.django']);"
            "django.setup();"
            "print([name for name in sys.modules if 'admin' in name])"
        )
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120
        )
        assert done.stdout.strip() == "[]", done.stderr
