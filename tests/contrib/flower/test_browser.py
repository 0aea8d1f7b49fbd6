"""The tab in a browser, by somebody who is logged in to Flower."""

from __future__ import annotations

import os

from playwright.sync_api import expect

from tests.contrib.flower.conftest import ROOT
from tests.contrib.flower.test_flower import ANN

expect.set_options(timeout=60_000)  # milliseconds: the machine may be busy

PICTURE = ROOT / "docs" / "images" / "flower-sagas.png"
MOST = 80_000
"""Bytes of a picture in the docs."""


def test_from_flowers_first_page_to_a_saga_that_is_mended(shop, flower, page):
    for number in range(1, 6):
        shop.completed(key=f"order-{number}")
    shop.compensated(key="order-6")
    stuck = shop.in_doubt(key="order-7")
    shop.exhausted(key="parcel-1")
    running = flower("--basic_auth=ann:s3cret", "--url_prefix=monitor", settings={"saga_console_writable": True})
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.set_extra_http_headers(ANN)

    page.goto(f"http://127.0.0.1:{running.port}/monitor/")
    page.get_by_role("link", name="Sagas", exact=True).click()
    expect(page).to_have_url(f"http://127.0.0.1:{running.port}/monitor/sagas/")
    expect(page).to_have_title("Sagas")
    expect(page.locator("nav .nav-link.active")).to_have_text("Sagas")
    expect(page.get_by_role("heading", name="Stuck")).to_be_visible()
    expect(page.locator("table").get_by_role("link", name="order-3")).to_be_visible()
    # The console's own page is narrower.
    assert page.locator("nav").first.bounding_box()["width"] == page.viewport_size["width"]
    picture(page)

    for theme, scheme in (("Dark", "dark"), ("Light", "light")):
        page.locator("#theme-toggle").click()
        page.get_by_role("button", name=theme, exact=True).click()
        assert page.evaluate("getComputedStyle(document.querySelector('#saga-main')).colorScheme") == scheme
    dark, light = ("rgb(255, 123, 114)", "rgb(180, 35, 24)")  # Flower's own, for what is wrong
    failed = page.locator(".stuck span.FAILED").first
    expect(failed).to_have_css("color", light)
    page.locator("#theme-toggle").click()
    page.get_by_role("button", name="Dark", exact=True).click()
    expect(failed).to_have_css("color", dark)

    page.locator(".stuck").get_by_role("link", name="order-7").click()
    expect(page).to_have_url(f"http://127.0.0.1:{running.port}/monitor/sagas/#/saga/{stuck}")
    page.locator("img.graph").evaluate("img => img.decode()")  # fails unless it is a picture
    page.locator("summary", has_text="resolve tell").click()
    form = page.locator("details[open]")
    form.get_by_label("it is").select_option("done")
    form.get_by_label("reason").fill("asked them")
    form.get_by_role("button").click()
    expect(page.locator("#note")).to_have_text("resolve: the saga is RUNNING")
    expect(page.locator("td", has_text="asked them").first).to_be_visible()
    expect(page.locator("td", has_text="ann").first).to_be_visible()
    assert wrong == []


def picture(page) -> None:
    """For the docs, where one is asked for."""
    if os.environ.get("SAGA_SCREENSHOTS") != "1":
        return
    PICTURE.parent.mkdir(exist_ok=True)
    whole = page.viewport_size
    page.set_viewport_size({"width": 1000, "height": 600})
    page.screenshot(path=PICTURE)
    page.set_viewport_size(whole)
    assert PICTURE.stat().st_size < MOST
