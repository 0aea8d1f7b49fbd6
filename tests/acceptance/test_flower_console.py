"""An operator at the Sagas tab of a real Flower, beside the real workers of the demo and thousands of its sagas.

`SAGA_SOAK_CONSOLE` says how many (`make soak`: 2,000). With `SAGA_SCREENSHOTS=1` it makes the pictures of the docs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.acceptance.deployment import Deployment
from tests.contrib.flower.conftest import ROOT, Flower
from tests.contrib.flower.test_flower import ANN
from tests.installed import install_entry_points
from workers.demo.fleet import APPLICATIONS, Fleet

pytestmark = pytest.mark.acceptance

ORDERS = int(os.environ.get("SAGA_SOAK_CONSOLE", "30"))
SCREENSHOTS = os.environ.get("SAGA_SCREENSHOTS") == "1"
IMAGES = ROOT / "docs" / "images"
MOST = 160_000
"""Bytes of a picture in the docs."""
expect.set_options(timeout=90_000)  # milliseconds: workers have to do something meanwhile

START_ORDERS = """
from dataclasses import replace
from tests.acceptance import flower_desk
from workers.catalogue import northwind
from workers.demo.launch import start_orders
orders = northwind().orders
for number in range({count} // len(orders) + 1):  # the same orders again, under other numbers
    some = orders[: {count} - number * len(orders)]
    start_orders([replace(order, id=order.id + 100_000 * number) for order in some])
"""
ENABLE_EVENTS = """
from workers.coordinator import app
assert len(app.control.enable_events(reply=True, timeout=90, limit={workers})) == {workers}
"""
START_SALES = """
from tests.acceptance.flower_desk import ParcelSaga, Sale, SaleSaga
for number in (1, 2, 3):
    ParcelSaga.start(Sale(id=number, cents=700, account="A-7"), key=f"parcel-{number}", tags={"courier": "north"})
SaleSaga.start(Sale(id=17, cents=4_200, account="closed-17"), key="sale-17", tags={"desk": 2})
SaleSaga.start(Sale(id=18, cents=990, account="A-18"), key="sale-18", tags={"desk": 2})
"""


@dataclass
class Desk:
    """What the test has in hand."""

    deployment: Deployment
    folder: Path
    page: Page
    address: str

    def look(self, place: str = "") -> None:
        """At a place of the tab."""
        self.page.goto(f"{self.address}/sagas/{place}")
        expect(self.page.locator("#live")).to_have_text("live")

    def press(self, button: str) -> Locator:
        """A button that opens the dialog."""
        self.page.get_by_role("button", name=button).click()
        return self.page.get_by_role("dialog")

    def state_of(self, key: str) -> str:
        ((state,),) = self.deployment.query(f"SELECT state FROM saga WHERE \"key\" = '{key}'")
        return str(state)

    def completed_order(self) -> str:
        """The key of one, as soon as there is one."""
        query = "SELECT \"key\" FROM saga WHERE name = 'shop.order' AND state = 'COMPLETED' ORDER BY id LIMIT 1"
        self.deployment.await_that(lambda: bool(self.deployment.query(query)), "a completed order")
        ((key,),) = self.deployment.query(query)
        return str(key)

    def await_state(self, key: str, state: str) -> None:
        self.deployment.await_that(lambda: self.state_of(key) == state, f"{key} {state}")

    def picture(self, name: str, *, width: int = 1200, height: int = 860, scheme: str = "light") -> None:
        """For the docs, where they are asked for."""
        if not SCREENSHOTS:
            return
        whole = self.page.viewport_size
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.evaluate("theme => document.documentElement.setAttribute('data-bs-theme', theme)", scheme)
        with self.page.expect_response("**/sagas/api/sagas**"):
            pass  # what depends on the width is drawn anew
        self.page.screenshot(path=IMAGES / name)
        assert (IMAGES / name).stat().st_size < MOST
        self.page.evaluate("document.documentElement.setAttribute('data-bs-theme', 'light')")
        self.page.set_viewport_size(whole)


@pytest.fixture
def desk(redis_server, tmp_path, sqlite_url, page) -> Iterator[Desk]:
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "courier-is-shut").touch()
    with ExitStack() as stack:
        deployment = stack.enter_context(Deployment(tmp_path, broker=redis_server.url, database=sqlite_url))
        deployment.environment["DESK_FOLDER"] = str(folder)
        applications = {**APPLICATIONS, "coordinator": "tests.acceptance.flower_desk"}
        stack.enter_context(Fleet(tmp_path, deployment.environment, 2, applications))
        (tmp_path / "proj.py").write_text("from tests.acceptance.flower_desk import app\n")
        install_entry_points(tmp_path)
        flower = Flower(tmp_path, "--basic_auth=ann:s3cret", **deployment.environment)
        stack.callback(flower.stop)
        # It knows the tasks alone whose events it has heard, and asks for these events every few seconds only.
        deployment.python(ENABLE_EVENTS.format(workers=len(applications)))
        deployment.await_that(lambda: hears(flower, len(applications)), "a Flower that hears all workers")
        page.set_extra_http_headers(ANN)
        yield Desk(deployment, folder, page, f"http://127.0.0.1:{flower.port}")


def hears(flower: Flower, workers: int) -> bool:
    told = flower.ask("/workers?json=1", **ANN).json["data"]
    return sum(bool(worker["status"]) for worker in told) == workers


@pytest.mark.timeout(300 + ORDERS)
def test_an_operator_at_three_in_the_morning(desk):
    desk.deployment.python(START_SALES)
    desk.deployment.python(START_ORDERS.format(count=ORDERS))
    desk.deployment.await_that(lambda: desk.deployment.states().get("FAILED", 0) == 3, "three parcels that wait")
    desk.deployment.await_that(lambda: waits(desk, "sale-17") and waits(desk, "sale-18"), "two sales that wait")
    desk.deployment.saga("cancel", "sale-17", "--reason", "the customer called", "--actor", "bob")
    desk.await_state("sale-17", "FAILED")

    finds_a_saga_by_its_key(desk)
    narrows_the_list_down(desk)
    repairs_a_compensation_with_another_argument(desk)
    answers_an_approval(desk)
    retries_many(desk)
    everything = lambda: desk.deployment.ended() == ORDERS + 5  # noqa: E731
    desk.deployment.await_that(everything, "the end of all", seconds=200 + ORDERS / 2)


def waits(desk: Desk, key: str) -> bool:
    return bool(
        desk.deployment.query(
            "SELECT 1 FROM saga_step JOIN saga ON saga.id = saga_id "
            f"WHERE \"key\" = '{key}' AND step = 'approve' AND status = 'awaiting'"
        )
    )


def finds_a_saga_by_its_key(desk: Desk) -> None:
    key = desk.completed_order()
    desk.look()
    page = desk.page
    desk.picture("flower-sagas.png")
    desk.picture("flower-phone.png", width=390, height=780)
    page.get_by_label("Key or id").fill(key)
    page.get_by_label("Key or id").press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("tbody").get_by_role("link", name=key).click()
    expect(page.locator("svg.timeline text.label")).to_have_text(["reserve", "pay", "ship", "confirm"])
    page.locator("details.step", has_text="pay").first.locator("summary").click()
    page.get_by_role("link", name="attempt 1").first.click()
    expect(page.locator("body")).to_contain_text("shop.order/pay")  # the page of its task, in Flower


def narrows_the_list_down(desk: Desk) -> None:
    desk.look()
    page = desk.page
    page.get_by_label("Saga", exact=True).select_option("desk.parcel")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.locator("tbody").get_by_role("link", name="courier=north").first.click()
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_role("link", name="Completed").click()
    expect(page.get_by_text("No saga fits")).to_be_visible()


def repairs_a_compensation_with_another_argument(desk: Desk) -> None:
    desk.look("#/?stuck=1&name=desk.sale")
    page = desk.page
    page.locator("tbody").get_by_role("link", name="sale-17").click()
    expect(page.locator(".notice.wrong").first).to_contain_text("the customer called")
    desk.picture("flower-saga.png", height=1000)
    desk.picture("flower-saga-dark.png", height=1000, scheme="dark")
    dialog = desk.press("Retry pay …")
    dialog.get_by_text("With other arguments").click()
    dialog.get_by_label("account").fill('"A-17"')
    dialog.get_by_label("Reason").fill("their new account")
    desk.picture("flower-retry.png", height=760)
    dialog.get_by_role("button", name="Retry pay").click()
    expect(page.locator(".title .badge")).to_have_text("↶ Compensated")
    expect(page.locator("ol.history")).to_contain_text("their new account")


def answers_an_approval(desk: Desk) -> None:
    desk.look("#/?search=sale-18")
    page = desk.page
    page.locator("tbody").get_by_role("link", name="sale-18").click()
    expect(page.locator(".notice")).to_contain_text("approve waits for Approval, expires in")
    dialog = desk.press("Answer approve …")
    dialog.get_by_label("ok").check()
    dialog.get_by_label("by").fill("ann")
    dialog.get_by_role("button", name="Answer approve").click()
    expect(page.locator(".title .badge")).to_have_text("✓ Completed")
    ((result,),) = desk.deployment.query("SELECT result FROM saga_step WHERE step = 'approve' AND status = 'succeeded'")
    assert json.loads(result) == {"ok": True, "by": "ann"}


def retries_many(desk: Desk) -> None:
    (desk.folder / "courier-is-shut").unlink()
    desk.look("#/?state=FAILED&name=desk.parcel")
    dialog = desk.press("Retry …")
    expect(dialog.get_by_role("heading")).to_have_text("Retry 3 sagas")
    dialog.get_by_label("Reason").fill("the courier is back")
    dialog.get_by_role("button", name="Retry 3 sagas").click()
    expect(desk.page.locator("#note")).to_have_text("retry: 3 done, 0 refused")
    for number in (1, 2, 3):
        desk.await_state(f"parcel-{number}", "COMPLETED")
