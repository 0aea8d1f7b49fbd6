"""The page itself, in a real browser that keeps to the page's security policy."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from celery.canvas import Signature
from playwright.sync_api import expect
from pydantic import BaseModel

from saga_celery import Retry, Saga, step, wait_for
from saga_celery.contrib import console
from saga_celery.core import events as e
from saga_celery.core.states import Direction, Slot
from tests.contrib.console.opened import opened

STATIC = Path(console.__file__).parent / "static"
HOSTILE = "<img src=x onerror=alert(1)>\"'</script><script>alert(2)</script>"
PHONE = {"width": 360, "height": 740}


class Approval(BaseModel):
    ok: bool
    by: str
    level: Literal["low", "high"] = "low"
    limit: int | None = None


@pytest.fixture
def checkout(shop):
    """A saga that can be repaired with other arguments, and one that waits for an answer."""

    class CheckoutSaga(Saga[str, None]):
        name = "shop.checkout"

        @step(idempotent=True)
        def reserve(self, sku: str) -> Signature[str]:
            return self.task("stock.reserve", sku=sku)

        @reserve.compensate(retry=Retry(attempts=1))
        def release(self, sku: str, reserve: str) -> Signature[None]:
            return self.task("stock.release", account="A-17", password="x", key=self.key())

        @wait_for(Approval, timeout=timedelta(days=2))
        def approve(self, sku: str) -> None:
            pass

    def begun(key: str) -> str:
        saga_id = CheckoutSaga.start("tea", key=key).id
        shop.news(saga_id, e.Nudged())
        shop.succeed(saga_id, "reserve", "r-1")
        return saga_id

    return begun


# ------------------------------------------------------------------------------------------------------------ the list


def test_the_list(shop, console_page):
    shop.completed(key="order-1", tags={"customer": 7})
    broken = shop.exhausted(key="parcel-1")
    shop.sagas.pause(task="card.*", reason="gateway down", actor="ann")
    page = console_page().page
    stuck = page.locator("ul.stuck")
    expect(stuck).to_contain_text("label: failed for good behind the pivot (shop.Broken: no) → retry or skip")
    expect(stuck.get_by_role("link", name="parcel-1")).to_have_attribute("href", f"#/saga/{broken}")
    expect(page.locator(".notice")).to_contain_text("Paused: task card.* by ann")
    expect(page.get_by_role("link", name="Completed1")).to_be_visible()

    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    page.get_by_role("link", name="customer=7").click()
    expect(rows).to_have_count(1)
    expect(page.get_by_label("Tag")).to_have_value("customer=7")
    page.get_by_role("link", name="Reset").click()
    expect(rows).to_have_count(2)
    page.get_by_label("Key or id").fill("parcel-1")
    page.get_by_label("Key or id").press("Enter")
    expect(rows).to_have_count(1)
    page.get_by_label("Saga", exact=True).select_option("shop.order")
    expect(page.get_by_text("No saga fits")).to_be_visible()
    page.go_back()
    expect(rows).to_have_count(1)


def test_it_looks_again_while_somebody_looks_and_only_then(shop, console_page):
    page = console_page.page
    page.clock.install()
    page.add_init_script("window.away = false; Object.defineProperty(document, 'hidden', { get: () => window.away })")
    shop.completed(key="order-1")
    console_page()

    def leave(away: bool) -> None:
        page.evaluate("away => { window.away = away; document.dispatchEvent(new Event('visibilitychange')); }", away)

    assert console_page.looks("api/sagas?") == 1
    shop.completed(key="order-2")
    with page.expect_response("**/api/sagas?"):
        page.clock.run_for(3_000)
    expect(page.locator("tbody tr")).to_have_count(2)
    leave(True)
    page.clock.run_for(60_000)
    assert console_page.looks("api/sagas?") == 2
    with page.expect_response("**/api/sagas?"):
        leave(False)
    assert console_page.looks("api/sagas?") == 3
    assert console_page.looks("api/counts") == 2  # they are dearer: at the first look, and after that long an absence


def test_what_a_reader_has_in_hand_stays(shop, console_page):
    page = console_page.page
    page.clock.install()
    first = shop.undoing(key="order-1")
    console_page.saga(first)
    row = page.locator("details.step", has_text="charge")
    row.locator("summary").click()
    row.locator("summary").focus()
    shop.news(first, e.AttemptSucceeded(slot=Slot("charge", 0, Direction.COMPENSATION), attempt=1))
    with page.expect_response(f"**/api/sagas/{first}"):
        page.clock.run_for(3_000)
    expect(page.locator(".title .badge")).to_have_text("↶ Compensated")
    expect(row).to_have_attribute("open", "")
    assert page.evaluate("document.activeElement.textContent").startswith("↶ charge")

    console_page()
    page.get_by_label("Key or id").fill("half a wo")
    shop.completed(key="order-2")
    with page.expect_response("**/api/sagas?"):
        page.clock.run_for(3_000)
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.get_by_label("Key or id")).to_have_value("half a wo")


# ------------------------------------------------------------------------------------------------------------ one saga


def test_one_saga(shop, console_page):
    saga_id = shop.compensated(key="order-1", tags={"customer": 7})
    page = console_page.saga(saga_id).page
    expect(page).to_have_title("order-1 · Sagas")
    expect(page.get_by_role("heading", name="order-1")).to_be_visible()
    expect(page.locator(".notice")).to_have_text("It goes backward: tell failed: shop.Broken: no")
    drawn = page.get_by_role("img", name="the steps as a graph: charge undone, tell failed, took no effect")
    expect(drawn.locator("g.node.undone")).to_contain_text("charge")
    expect(drawn.locator("g.hung")).to_have_text("↶ undone")
    in_time = page.locator("svg.timeline")
    expect(in_time.locator("text.label")).to_have_text(["charge", "tell", "↶ charge"])
    assert "tell, attempt 1: failed" in in_time.get_attribute("aria-label")

    charge, tell = page.locator("details.step").all()
    expect(charge).to_contain_text("↶ can be undone")
    expect(tell).to_contain_text("– cannot be undone")
    expect(charge.locator(".numbers")).to_contain_text("1/5, undo 1/2")
    charge.locator("summary").click()
    expect(charge.locator("dd").filter(has_text='"c-1"')).to_be_visible()
    expect(charge).to_contain_text("Arguments by position are not shown")
    drawn.locator("g.node", has_text="tell").click()
    expect(tell.locator("pre")).to_have_text("Traceback: line 7")
    expect(page.locator("ol.history li").first).to_contain_text("saga COMPENSATED")


def test_what_others_wrote_is_text_and_nothing_else(shop, console_page):
    page = console_page.page
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    saga_id = shop.in_doubt(key=HOSTILE, tags={HOSTILE[:40]: HOSTILE[:60]})
    shop("suspend", saga_id, "--reason", HOSTILE, "--actor", HOSTILE[:50])
    shop.sagas.pause(name="shop.*", reason=HOSTILE, actor=HOSTILE[:50])
    for place in ("", f"#/saga/{saga_id}"):
        console_page(place)
        expect(page.locator("#saga-main")).to_contain_text(HOSTILE)
        assert page.locator("#saga-main").locator("img, script, iframe, style, object").count() == 0
        links = page.locator("a").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
        assert all(link.startswith("#") for link in links)
    assert asked == []


def test_on_a_phone_nothing_is_cut_off(shop, console_page):
    shop.exhausted(key="parcel-1", tags={"customer": "a-very-long-name-without-any-blanks-in-it-at-all"})
    saga_id = shop.compensated(key="order-" + "1" * 60)
    page = console_page.page
    page.set_viewport_size(PHONE)
    for place in ("", f"#/saga/{saga_id}"):
        console_page(place)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
    console_page()
    page.locator("tbody").get_by_role("link", name="customer=").click()  # nothing lies over it
    expect(page.locator("tbody tr")).to_have_count(1)


# ------------------------------------------------------------------------------------------------------------- actions


def test_a_failed_compensation_is_repaired_with_another_argument(shop, checkout, console_page):
    saga_id = checkout("order-1")
    shop("cancel", saga_id, "--reason", "unwanted", "--actor", "bob")
    shop.fail(saga_id, Slot("reserve", 0, Direction.COMPENSATION))
    console_page.saga(saga_id)
    dialog = console_page.press("Retry reserve …")
    dialog.get_by_text("With other arguments").click()
    expect(dialog.get_by_label("password (not shown here")).to_be_disabled()
    expect(dialog.get_by_label("key (idempotency key")).to_be_disabled()
    dialog.get_by_label("account").fill('"A-1')
    dialog.get_by_role("button", name="Retry reserve").click()
    expect(dialog.get_by_label("Reason")).to_be_focused()  # the browser asks for it
    dialog.get_by_label("Reason").fill("closed")
    dialog.get_by_role("button", name="Retry reserve").click()
    expect(dialog.get_by_role("alert")).to_have_text('account is no JSON; a text stands in quotes, "like this"')
    dialog.get_by_label("account").fill('"A-18"')
    dialog.get_by_role("button", name="Retry reserve").click()
    expect(console_page.note).to_have_text("retry: the saga is COMPENSATING")
    expect(dialog).to_be_hidden()

    message = shop.sagas.store.load(saga_id).steps[("reserve", 0)].compensation.message
    assert (message.kwargs["account"], message.kwargs["password"]) == ("A-18", "x")
    history = console.saga(shop.sagas, saga_id)["history"]
    assert any(entry["actor"] == "ann" and "closed" in entry["facts"][0]["text"] for entry in history)


def test_an_approval(shop, checkout, console_page):
    saga_id = checkout("order-1")
    page = console_page.saga(saga_id).page
    expect(page.locator(".notice")).to_contain_text("approve waits for Approval, expires in 2 d")
    dialog = console_page.press("Answer approve …")
    dialog.get_by_label("ok").check()
    dialog.get_by_label("by").fill("finance")
    dialog.get_by_label("level").select_option("high")
    dialog.get_by_label("limit").fill("500")
    dialog.get_by_role("button", name="Answer approve").click()
    expect(console_page.note).to_have_text("send: the saga is RUNNING")
    shop.news(saga_id, e.Nudged())
    given = shop.sagas.store.load(saga_id).steps[("approve", 0)].result
    assert given == {"ok": True, "by": "finance", "level": "high", "limit": 500}


def test_a_refusal_is_told_where_it_was_asked(shop, console_page):
    saga_id = shop.in_doubt()
    console_page.saga(saga_id)
    dialog = console_page.press("Resolve tell …")
    dialog.get_by_label("what became of it").select_option("done")
    dialog.get_by_label("Result").fill("17")
    dialog.get_by_label("Reason").fill("asked them")
    dialog.get_by_role("button", name="Resolve tell").click()
    expect(dialog.get_by_role("alert")).to_contain_text("does not fit")
    dialog.get_by_label("Result").fill('"told"')
    dialog.get_by_role("button", name="Resolve tell").click()
    expect(console_page.note).to_have_text("resolve: the saga is RUNNING")
    (posted,) = [each for each in console_page.asked if each.method == "POST"][1:]
    assert posted.headers["x-saga-console"] == "1"
    body = json.loads(posted.post_data)
    assert body.keys() == {"step", "expected_version", "reason", "resolution", "result"}


def test_many_at_once(shop, console_page):
    stuck = [shop.exhausted(key=f"parcel-{number}") for number in range(3)]
    shop.completed(key="order-1")
    page = console_page("#/?state=FAILED").page
    dialog = console_page.press("Retry …")
    expect(dialog.get_by_role("heading")).to_have_text("Retry 3 sagas")
    dialog.get_by_label("Reason").fill("mail is back")
    dialog.get_by_role("button", name="Retry 3 sagas").click()
    expect(console_page.note).to_have_text("retry: 3 done, 0 refused")
    assert {shop.sagas.store.queries.row(each).status for each in stuck} == {"RUNNING"}

    console_page("#/?")
    page.get_by_label("choose order-1").check()
    page.get_by_label("choose parcel-0").check()
    expect(page.get_by_role("form", name="many at once")).to_contain_text("2 sagas chosen")
    dialog = console_page.press("Suspend …")
    dialog.get_by_label("Reason").fill("stock-taking")
    dialog.get_by_role("button", name="Suspend 2 sagas").click()
    expect(console_page.note).to_have_text("suspend: 1 done, 1 refused")
    expect(dialog.locator(".refused")).to_contain_text("order-1")
    dialog.get_by_role("button", name="Close").click()
    assert shop.sagas.store.queries.row(stuck[0]).suspended


def test_who_may_only_look_sees_no_actions(shop, page):
    saga_id = shop.in_doubt()
    with opened(shop, page, writable=False) as console_page:
        for place in ("#/?stuck=1", f"#/saga/{saga_id}"):
            console_page(place)
            expect(page.locator("#who")).to_have_text("ann, may look")
            assert page.locator("#saga-main button").all_text_contents() in ([], ["Search"])
            assert page.get_by_role("checkbox").count() == 0


# ----------------------------------------------------------------------------------------------------------- its files


def test_nothing_in_it_reads_html():
    for script in STATIC.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser|srcdoc",
            script.read_text(),
        ), script
    page = (STATIC / "index.html").read_text()
    assert not re.search(r"https?://|\son\w+=|<style|style=|<script>", page)
    assert "script-src 'self'" in console.HEADERS["Content-Security-Policy"]


def test_every_file_is_there_with_its_type_and_asked_for_by_another():
    assert set(console.ASSETS) == {each.name for each in STATIC.iterdir()}
    texts: dict[str, Any] = {name: console.asset(name).body.decode() for name in console.ASSETS}
    for name, content_type in console.ASSETS.items():
        assert console.asset(name).content_type == content_type
        assert name == "index.html" or any(
            f'"{prefix}{name}"' in text for text in texts.values() for prefix in ("", "./")
        )
    with pytest.raises(KeyError):
        console.asset("../assets.py")
