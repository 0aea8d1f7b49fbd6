"""The Django shop in a browser: orders that complete, are undone, are approved, are rejected, and never were."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.acceptance.open_shop import PATIENCE, OpenShop, opened
from workers.demo.process import ROOT

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

GOOD_CARD = "4242 4242 4242 4242"
DECLINED_CARD = "4000 0000 0000 0002"
TAKES_PICTURES = os.environ.get("SAGA_SCREENSHOTS") == "1"

expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop")


@pytest.fixture(scope="module")
def shop(folder: Path) -> Iterator[OpenShop]:
    with opened(folder) as shop:
        shop.manage("shell", "--command", CUSTOMER)
        yield shop


CUSTOMER = """
from django.contrib.auth import get_user_model
get_user_model().objects.create_user("customer", password="of-no-consequence")
"""


def buy(page: Page, shop: OpenShop, product: str, card: str, *, price: int | None = None) -> None:
    """Fill in the form and press the button; `price` is a price that stood on the page, but does no more."""
    page.goto(shop.url)
    page.locator("select[name=product]").select_option(value=str(product_id(shop, product)))
    page.get_by_label("Quantity").fill("2")
    page.get_by_label("Customer").fill("Ada")
    page.get_by_label("Card number").fill(card)
    if price is not None:
        page.locator("input[name=price]").evaluate(f"field => field.value = {price}")
    page.get_by_role("button", name="Buy").click()


def product_id(shop: OpenShop, name: str) -> int:
    [(number,)] = shop.ask(f"SELECT id FROM orders_product WHERE name = '{name}'")
    return number


def stock(shop: OpenShop, name: str) -> int:
    [(number,)] = shop.ask(f"SELECT in_stock FROM orders_product WHERE name = '{name}'")
    return number


def log_in(page: Page, shop: OpenShop, user: str, password: str) -> None:
    page.goto(f"{shop.url}login/")
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()


def state(page: Page) -> Locator:
    return page.get_by_role("status")


def words(page: Page) -> list[str]:
    """What stands behind the four steps."""
    return page.locator(".steps span").all_text_contents()


def picture(page: Page, name: str) -> None:
    """For the docs, where somebody asks for it."""
    if TAKES_PICTURES:
        page.set_viewport_size({"width": 900, "height": 480})
        page.screenshot(path=ROOT / "docs" / "images" / f"shop-{name}.png")


def test_an_order_completes_before_the_eyes_of_who_placed_it(page: Page, shop: OpenShop) -> None:
    before = stock(shop, "Tea")
    buy(page, shop, "Tea", GOOD_CARD)
    page.evaluate("window.sameDocument = true")

    expect(state(page)).to_have_text("COMPLETED")
    assert page.evaluate("window.sameDocument") is True
    assert words(page) == ["done", "not needed", "done", "done"]
    expect(page.locator(".parcel")).to_have_text(re.compile(r"^parcel-\d+$"))
    expect(page.locator(".in-stock")).to_have_text(str(before - 2))
    assert stock(shop, "Tea") == before - 2
    picture(page, "completed")


def test_a_declined_card_is_undone_before_the_eyes_of_who_placed_it(page: Page, shop: OpenShop) -> None:
    """The release is kept back for as long as somebody looks at it."""
    before = stock(shop, "Teapot")
    why = ("--task", "orders.release", "--reason", "somebody wants to look")
    shop.manage("saga", "pause", *why)
    buy(page, shop, "Teapot", DECLINED_CARD)

    expect(state(page)).to_have_text("COMPENSATING")
    expect(page.locator(".cause")).to_have_text("Why: the card ending in 0002 was declined.")
    assert words(page) == ["is being undone", "not needed", "failed", "not done"]
    expect(page.locator(".in-stock")).to_have_text(str(before - 2))
    picture(page, "compensating")

    shop.manage("saga", "unpause", *why)
    expect(state(page)).to_have_text("COMPENSATED")
    assert words(page) == ["undone", "not needed", "failed", "not done"]
    expect(page.locator(".in-stock")).to_have_text(str(before))
    assert stock(shop, "Teapot") == before


def test_a_dear_order_is_approved(page: Page, shop: OpenShop) -> None:
    """The customer's page moves on by itself when a member of staff has pressed the button in another browser."""
    buy(page, shop, "Samovar", GOOD_CARD)
    expect(page.locator("[data-step=approve] span")).to_have_text("waits for a member of staff")
    expect(page.get_by_text("A member of staff will look at this order.")).to_be_visible()
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)

    with page.context.browser.new_context() as context:
        staff = context.new_page()
        log_in(staff, shop, shop.user, shop.password)
        staff.goto(page.url)
        expect(staff.get_by_role("button", name="Reject")).to_be_visible()
        picture(staff, "waiting")
        staff.get_by_role("button", name="Approve").click()
        expect(staff.get_by_text(f"Approved by {shop.user}.")).to_be_visible()

    expect(state(page)).to_have_text("COMPLETED")
    assert words(page) == ["done", "done", "done", "done"]
    [verdict] = shop.ask('SELECT ok, "by" FROM orders_verdict ORDER BY id DESC LIMIT 1')
    assert verdict == (1, shop.user)


def test_a_dear_order_is_rejected(page: Page, shop: OpenShop) -> None:
    before, charges = stock(shop, "Samovar"), shop.ask("SELECT count(*) FROM orders_charge")
    log_in(page, shop, shop.user, shop.password)
    buy(page, shop, "Samovar", GOOD_CARD)
    page.get_by_role("button", name="Reject").click()

    expect(state(page)).to_have_text("COMPENSATED")
    expect(page.locator(".cause")).to_have_text(f"Why: rejected by {shop.user}.")
    assert words(page)[0] == "undone"
    assert stock(shop, "Samovar") == before
    assert shop.ask("SELECT count(*) FROM orders_charge") == charges


def test_only_staff_may_approve(page: Page, shop: OpenShop) -> None:
    """Neither who is not logged in, nor a customer who is, nor a page of somebody else in the name of staff."""
    buy(page, shop, "Samovar", GOOD_CARD)
    expect(page.locator("[data-step=approve] span")).to_have_text("waits for a member of staff")
    order = page.url

    anonymous = press(page, order, ok="yes")
    log_in(page, shop, "customer", "of-no-consequence")
    page.goto(order)
    expect(page.get_by_text("A member of staff will look at this order.")).to_be_visible()
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    customer = press(page, order, ok="yes")
    page.get_by_role("button", name="Log out").click()
    log_in(page, shop, shop.user, shop.password)
    forged = press(page, order, with_token=False, ok="yes")

    assert "/login/" in anonymous.url
    assert (customer.status, forged.status) == (403, 403)
    page.goto(order)
    assert words(page)[1] == "waits for a member of staff"
    page.get_by_role("button", name="Reject").click()  # lest it wait for two days
    expect(state(page)).to_have_text("COMPENSATED")


def press(page, order, *, with_token=True, **form):
    """What the buttons do, without the buttons."""
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    token = {"csrfmiddlewaretoken": cookies["csrftoken"]} if with_token else {}
    return page.request.post(f"{order}verdict/", form={**form, **token})


def test_what_raises_after_the_start_leaves_neither_order_nor_saga(page: Page, shop: OpenShop) -> None:
    counts = "SELECT (SELECT count(*) FROM orders_order), (SELECT count(*) FROM saga)"
    before = shop.ask(counts)
    buy(page, shop, "Tea", GOOD_CARD, price=1)

    expect(page.get_by_text("Tea costs 4.90 now")).to_be_visible()
    assert shop.ask(counts) == before
    page.get_by_role("button", name="Buy").click()  # the page has learned the price
    expect(state(page)).to_have_text("COMPLETED")
    assert shop.ask(counts) == [(before[0][0] + 1, before[0][1] + 1)]


def test_a_worker_that_is_killed_is_replaced(page: Page, shop: OpenShop, folder: Path) -> None:
    [launcher] = launchers(folder)
    [worker] = [child for child in launcher.children() if "celery" in child.cmdline()]
    buy(page, shop, "Tea", GOOD_CARD)
    worker.kill()

    expect(state(page)).to_have_text("COMPLETED")
    assert words(page) == ["done", "not needed", "done", "done"]


def launchers(folder: Path) -> list[psutil.Process]:
    """Those of the shops in that folder."""
    return [child for child in psutil.Process().children() if str(folder) in child.cmdline()]


def test_no_process_outlives_a_launcher_that_is_killed(tmp_path: Path) -> None:
    """Not even where it has no time to end them."""
    with opened(tmp_path, ends_with=-signal.SIGKILL):
        [launcher] = launchers(tmp_path)
        left = launcher.children(recursive=True)
        assert len(left) >= 4  # Redis, the worker and its processes, the server
        launcher.kill()
    _, alive = psutil.wait_procs(left, timeout=PATIENCE)
    assert alive == []
