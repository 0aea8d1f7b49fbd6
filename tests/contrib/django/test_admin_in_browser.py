"""The admin as a person sees it, in a real browser before a real server.

With `SAGA_SCREENSHOTS=1` it also makes the pictures of docs/django.md anew.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.db import connections
from playwright.sync_api import Page, expect

from tests.contrib.django.office import LIST, Office, admin_tables, office
from tests.contrib.django.office import page as page_of
from tests.docs.test_pages import ROOT

__all__ = ["admin_tables", "office"]

expect.set_options(timeout=60_000)  # milliseconds: the machine may be busy

IMAGES = ROOT / "docs" / "images"
WANTED = bool(os.environ.get("SAGA_SCREENSHOTS"))


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        """Says nothing."""


class Server(ThreadedWSGIServer):
    daemon_threads = False  # all of them have ended when the server is closed


@pytest.fixture
def address(office: Office, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of the shop. The driver of the browser runs an event loop here, for which Django takes us."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    server = Server(("127.0.0.1", 0), Quiet)
    server.set_app(StaticFilesHandler(WSGIHandler()))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_connection_of_another_test(address: str, page: Page) -> Iterator[None]:
    """Within the event loop of the browser's driver Django keeps other connections than without, and for good.

    The address comes first, so that its server ends last: it waits until the browser lets go of its connections.
    """
    yield
    for alias in connections:
        connections[alias].close()
        del connections[alias]


def log_in(page: Page, address: str, name: str) -> None:
    page.goto(f"{address}{LIST}")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill("open")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Select saga to view")).to_be_visible()


def open_action(page: Page, title: str) -> None:
    page.locator("summary", has_text=title).click()


def keep(page: Page, name: str, height: int) -> None:
    """A picture for the documentation, if it is wanted."""
    if WANTED:
        IMAGES.mkdir(exist_ok=True)
        page.set_viewport_size({"width": 1200, "height": height})
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=Path(IMAGES / name))
        page.set_viewport_size({"width": 1200, "height": 800})


def test_a_saga_is_found_looked_at_and_helped(office: Office, address: str, page: Page) -> None:
    office.person("olga", "view_saga", "operate_saga")
    office.shop.order.start(7, key="order-6", tags={"customer": 12})
    office.waiting(key="order-7", tags={"customer": 7, "country": "gb"})
    office.resting(key="order-8", tags={"customer": 8, "country": "fr"})
    doubt = office.in_doubt(key="order-9", tags={"customer": 7, "country": "gb"})
    log_in(page, address, "olga")
    page.locator("#toggle-nav-sidebar").click()
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(4)
    keep(page, "admin-list.png", 560)

    page.locator("#searchbar").fill("customer=7")
    page.get_by_role("button", name="Search").click()
    expect(rows).to_have_count(2)
    page.get_by_role("link", name="Has dead letters").click()
    expect(rows).to_have_count(1)
    rows.get_by_role("link").click()

    expect(page.get_by_role("heading", name="shop.delivery order-9")).to_be_visible()
    expect(page.locator('svg [data-step="pack"]')).to_have_attribute("data-look", "wrong")
    open_action(page, "Resolve pack")
    keep(page, "admin-saga.png", 900)
    form = page.locator("form", has=page.get_by_role("button", name="Resolve pack"))
    form.get_by_label("It is").select_option("done")
    form.get_by_label("Result, as JSON").fill('{"parcel": ')
    form.get_by_label("Reason").fill("the parcel stands here")
    form.get_by_role("button").click()
    expect(form.get_by_text("This is no JSON")).to_be_visible()
    expect(form.get_by_label("Reason")).to_have_value("the parcel stands here")
    form.get_by_label("Result, as JSON").fill('"parcel-9"')
    form.get_by_role("button").click()
    expect(page.get_by_text("Resolve: the saga is RUNNING.")).to_be_visible()
    expect(page.locator("#history")).to_contain_text("olga asked for resolve of pack as done: the parcel stands here")
    expect(page.locator('svg [data-step="pack"]')).to_have_attribute("data-look", "done")
    assert doubt.state == "RUNNING"


def test_actions_are_refused_without_permission_token_or_reason(office: Office, address: str, page: Page) -> None:
    handle = office.start(key="order-7")
    person = office.person("olga", "view_saga", "operate_saga")
    log_in(page, address, "olga")
    url = f"{address}{page_of(handle)}"

    def sent() -> int:
        with page.expect_navigation() as answer:
            page.locator("form", has=page.get_by_role("button", name="Cancel")).evaluate("form => form.submit()")
        return answer.value.status

    page.goto(url)
    open_action(page, "Cancel")
    page.get_by_role("button", name="Cancel").click()
    reason = page.locator("details[open] input[name=reason]")
    assert reason.evaluate("field => field.validity.valueMissing")  # the browser itself does not send it
    assert sent() == 400
    expect(page.get_by_text("Say why: the reason is kept")).to_be_visible()

    reason.fill("unwanted")
    page.evaluate("document.querySelectorAll('[name=csrfmiddlewaretoken]').forEach(each => each.remove())")
    assert sent() == 403
    expect(page.get_by_text("CSRF verification failed")).to_be_visible()

    page.goto(url)
    open_action(page, "Cancel")
    reason.fill("unwanted")
    person.user_permissions.remove(*person.user_permissions.filter(codename="operate_saga"))
    assert sent() == 403
    page.goto(url)
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    expect(page.locator("summary")).to_have_count(0)
    assert [entry["actor"] for entry in office.record(handle)["history"] if entry["actor"]] == []


@pytest.mark.parametrize("kept_url", ["sqlite"], indirect=True)
def test_the_console_within_the_admin(office: Office, address: str, page: Page) -> None:
    """Its page keeps to its policy, looks like the admin's in both themes, and leads there and back."""
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.text} {message.location['url']}"))
    office.person("olga", "view_saga", "operate_saga")
    doubt = office.in_doubt(key="order-9")
    log_in(page, address, "olga")
    page.get_by_role("link", name="Console").click()
    expect(page.get_by_role("heading", name="Stuck")).to_be_visible()
    failed = page.locator("#sagas ul.stuck .badge.wrong").first
    expect(failed).to_have_css("color", "rgb(179, 38, 30)")
    assert page.locator("#header").bounding_box() == {"x": 0, "y": 0, "width": 1200, "height": 48}  # as it ever was
    page.locator(".theme-toggle").click()
    expect(failed).to_have_css("color", "rgb(255, 155, 147)")

    page.locator("#sagas").get_by_role("link", name="order-9").first.click()
    expect(page.get_by_role("heading", name="order-9")).to_be_visible()
    page.get_by_role("button", name="Resolve pack …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("what became of it").select_option("never")
    dialog.get_by_label("Reason").fill("it lies on the shelf")
    dialog.get_by_role("button", name="Resolve pack").click()
    expect(page.locator("#sagas")).to_contain_text("olga asked for resolve of pack as never: it lies on the shelf")
    assert doubt.state != "FAILED"

    page.get_by_role("link", name="This saga in the admin").click()
    expect(page.locator("#history")).to_contain_text("it lies on the shelf")
    page.get_by_role("link", name="Open in the console").click()
    expect(page.get_by_role("heading", name="order-9")).to_be_visible()
    expect(page.get_by_role("link", name="This saga in the admin")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_text("Log in again")).to_be_visible()
    assert [words for words in said if "favicon" not in words] == []
