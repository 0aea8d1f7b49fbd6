"""The tab in a browser, by somebody who is logged in to Flower."""

from __future__ import annotations

from playwright.sync_api import expect

from saga_celery.core.states import Slot
from saga_celery.transport.publisher import task_id
from tests.contrib.flower.test_flower import ANN

expect.set_options(timeout=60_000)  # milliseconds: the machine may be busy


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

    for theme, scheme in (("Dark", "dark"), ("Light", "light")):
        page.locator("#theme-toggle").click()
        page.get_by_role("button", name=theme, exact=True).click()
        assert page.evaluate("getComputedStyle(document.querySelector('#saga-main')).colorScheme") == scheme
    failed = page.locator("ul.stuck .badge.wrong").first
    light = failed.evaluate("badge => getComputedStyle(badge).color")
    page.locator("#theme-toggle").click()
    page.get_by_role("button", name="Dark", exact=True).click()
    expect(failed).not_to_have_css("color", light)

    page.locator("ul.stuck").get_by_role("link", name="order-7").click()
    expect(page).to_have_url(f"http://127.0.0.1:{running.port}/monitor/sagas/#/saga/{stuck}")
    expect(page.locator("svg.graph")).to_be_visible()
    page.locator("details.step", has_text="charge").locator("summary").click()
    attempt = page.get_by_role("link", name="attempt 1").first
    task = task_id(stuck, Slot("charge"), 1)
    assert attempt.evaluate("link => link.href") == f"http://127.0.0.1:{running.port}/monitor/task/{task}"
    page.get_by_role("button", name="Resolve tell …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("what became of it").select_option("done")
    dialog.get_by_label("Result").fill('"told"')
    dialog.get_by_label("Reason").fill("asked them")
    dialog.get_by_role("button", name="Resolve tell").click()
    expect(page.locator("#note")).to_have_text("resolve: the saga is RUNNING")
    expect(page.locator("ol.history")).to_contain_text("ann asked for resolve of tell as done: asked them")
    assert wrong == []
