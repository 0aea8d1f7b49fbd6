"""The travel agency as its customers and its staff use it: in a browser."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.agency import PATIENCE, Agency, screenshots
from workers.demo.process import ROOT

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

GOOD, DECLINED = "4000 0000 0000 0077", "4000 0000 0000 0002"
PLAYWRIGHTS_OWN = 5_000
"""Milliseconds."""
SMALL = {"width": 900, "height": 640}


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agency]:
    pace = "1.5" if screenshots() else "0"  # a picture of what goes on needs it to go on for a moment
    with Agency(tmp_path_factory.mktemp("agency"), "--pace", pace) as agency:
        yield agency


@pytest.fixture
def customer(page: Page, agency: Agency) -> Iterator[Page]:
    page.set_viewport_size(SMALL)
    page.set_default_timeout(PATIENCE * 1000)
    expect.set_options(timeout=PATIENCE * 1000)
    page.goto(agency.url)
    yield page
    expect.set_options(timeout=PLAYWRIGHTS_OWN)


@pytest.fixture
def colleague(customer: Page, agency: Agency) -> Any:
    """Somebody of the staff, logged in, in a browser of their own."""

    def log_in(name: str) -> Page:
        desk = customer.context.browser.new_context(viewport=SMALL, locale="en-GB", timezone_id="UTC").new_page()
        desk.set_default_timeout(PATIENCE * 1000)
        desk.goto(f"{agency.url}sagas/")
        desk.get_by_label("Name").fill(name)
        desk.get_by_label("Password").fill(agency.password)
        desk.get_by_role("button", name="Log in").click()
        desk.wait_for_url(f"{agency.url}sagas/")
        return desk

    return log_in


def book(page: Page, city: str, *, card: str = GOOD, travellers: int = 1, voucher: str = "") -> None:
    page.get_by_label("Destination").select_option(city)
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("Travellers").fill(str(travellers))
    page.get_by_label("Card number").fill(card)
    page.get_by_label("Lounge voucher").fill(voucher)
    page.get_by_role("button", name="Book this trip").click()


def booked(page: Page, *args: Any, **kwargs: Any) -> int:
    """Book, and come to the page of the booking; its number."""
    book(page, *args, **kwargs)
    page.wait_for_url("**/bookings/*")
    page.evaluate("window.loadedOnce = true")
    return int(page.url.rpartition("/")[2])


def becomes(page: Page, state: str) -> None:
    """Wait until the page of a booking shows that state, without having been loaded anew."""
    page.wait_for_selector(f'#journey[data-state="{state}"]')
    assert page.evaluate("window.loadedOnce") is True


def stages(page: Page) -> dict[str, str]:
    lines = page.locator("[data-stage]").all()
    return {str(line.get_attribute("data-stage")): line.locator(".words").inner_text() for line in lines}


def seats(page: Page, agency: Agency, city: str) -> int:
    page.goto(agency.url)
    return int(page.locator(f'[data-seats="{city}"]').inner_text())


def picture(page: Page, name: str) -> None:
    folder = screenshots()
    if folder is not None:
        page.screenshot(path=folder / f"agency-{name}.png")
        assert (folder / f"agency-{name}.png").stat().st_size < 80_000


# ---------------------------------------------------------------------------------------------------------- bookings


def test_a_trip_is_booked_before_ones_eyes(customer: Page, agency: Agency) -> None:
    before = seats(customer, agency, "Lisbon")
    booked(customer, "Lisbon", travellers=2)
    becomes(customer, "COMPLETED")
    assert stages(customer) == {
        "flight": "done",
        "hotel": "done",
        "approval": "not needed",
        "payment": "done",
        "tickets": "done",
    }
    expect(customer.locator("#headline")).to_have_text("Have a good trip")
    expect(customer.locator("#diary li")).to_have_count(4)
    assert seats(customer, agency, "Lisbon") == before - 2


def test_a_declined_card_is_seen_to_undo_what_was_booked(customer: Page, agency: Agency) -> None:
    before = seats(customer, agency, "Kyoto")
    number = booked(customer, "Kyoto", card=DECLINED)
    if screenshots():
        customer.wait_for_selector('[data-look="undoing"]')
        picture(customer, "undoing")
    becomes(customer, "COMPENSATED")
    shown = stages(customer)
    assert (shown["flight"], shown["hotel"], shown["payment"]) == ("cancelled", "cancelled", "refused")
    assert shown["tickets"] == "never begun"
    expect(customer.locator("#cause")).to_have_text("the card that ends in 0002 was declined")
    diary = set(customer.locator("#diary li").all_inner_texts())
    assert diary == {"Flight to Kyoto booked", "Hotel to Kyoto booked", "Flight cancelled", "Hotel cancelled"}
    assert seats(customer, agency, "Kyoto") == before
    assert agency.query("SELECT count(*) FROM payment WHERE booking_id = :number", number=number) == [(0,)]


def test_an_expensive_trip_waits_for_an_agent_who_approves(customer: Page, agency: Agency, colleague: Any) -> None:
    number = booked(customer, "Antarctica")
    expect(customer.locator('[data-stage="approval"] .words')).to_have_text("waits for an agent")
    assert customer.get_by_role("button", name="Approve").count() == 0

    desk = colleague(agency.agent)
    desk.goto(f"{agency.url}desk")
    desk.get_by_role("link", name=f"Booking {number}", exact=True).click()
    desk.get_by_role("button", name="Approve").wait_for()
    picture(desk, "approval")
    desk.get_by_role("button", name="Approve").click()

    becomes(customer, "COMPLETED")
    desk.wait_for_selector('#journey[data-state="COMPLETED"]')
    expect(desk.get_by_text(f"Approved by {agency.agent}.")).to_be_visible()
    assert agency.query("SELECT approved, decided_by FROM booking WHERE id = :id", id=number) == [(1, agency.agent)]
    picture(desk, "completed")


def test_one_that_is_rejected_is_cancelled(customer: Page, agency: Agency, colleague: Any) -> None:
    before = seats(customer, agency, "Antarctica")
    number = booked(customer, "Antarctica")
    desk = colleague(agency.agent)
    desk.goto(f"{agency.url}bookings/{number}")
    desk.get_by_role("button", name="Reject").click()
    becomes(customer, "COMPENSATED")
    expect(customer.locator("#cause")).to_have_text(f"refused by {agency.agent}")
    assert seats(customer, agency, "Antarctica") == before


def test_who_is_no_agent_decides_nothing(customer: Page, agency: Agency, colleague: Any) -> None:
    number = booked(customer, "Antarctica")
    expect(customer.locator('[data-stage="approval"] .words')).to_have_text("waits for an agent")
    trainee, agent = colleague(agency.trainee), colleague(agency.agent)
    answers = {}
    for name, browser in (("customer", customer), ("trainee", trainee)):
        token = browser.request.get(f"{agency.url}sagas/api/session")
        form = {"approve": "Approve", "csrf_token": token.json()["csrf_token"] if name == "trainee" else ""}
        answers[name] = browser.request.post(f"{agency.url}bookings/{number}/decision", form=form).status
    tokenless = {"approve": "Approve"}
    answers["agent"] = agent.request.post(f"{agency.url}bookings/{number}/decision", form=tokenless).status
    assert answers == {
        "customer": HTTPStatus.BAD_REQUEST,
        "trainee": HTTPStatus.FORBIDDEN,
        "agent": HTTPStatus.BAD_REQUEST,
    }
    assert agency.query("SELECT approved FROM booking WHERE id = :id", id=number) == [(None,)]
    assert stages(customer)["approval"] == "waits for an agent"


def test_a_request_that_rolls_back_leaves_neither_booking_nor_saga(customer: Page, agency: Agency) -> None:
    def counts() -> list[int]:
        tables = ("booking", "saga", "saga_key", "reservation")
        return [agency.query(f"SELECT count(*) FROM {table}")[0][0] for table in tables]

    agency.await_that(lambda: not {"PENDING", "COMPENSATING"} & set(agency.states()), "rest")
    before = counts()
    book(customer, "Lisbon", voucher="LOUNGE-99")
    expect(customer.get_by_text("This voucher is not valid")).to_be_visible()
    assert counts() == before

    number = booked(customer, "Lisbon", voucher="LOUNGE-1")
    becomes(customer, "COMPLETED")
    assert counts() == [before[0] + 1, before[1] + 1, before[2] + 1, before[3] + 2]
    assert agency.query("SELECT booking_id FROM voucher WHERE code = 'LOUNGE-1'") == [(number,)]


def test_a_worker_that_dies_is_replaced(customer: Page, agency: Agency) -> None:
    children = psutil.Process(agency.pid).children()
    (worker,) = (child for child in children if "workers.agency.make_celery" in child.cmdline())
    worker.kill()
    booked(customer, "Lisbon")
    becomes(customer, "COMPLETED")


def test_flask_saga_works_on_its_sagas(customer: Page, agency: Agency) -> None:
    number = booked(customer, "Lisbon", card=DECLINED)
    becomes(customer, "COMPENSATED")
    command = (
        f". {agency.folder}/environment.sh; {sys.executable} -m flask --app workers.agency saga show booking-{number}"
    )
    told = subprocess.run(["bash", "-ec", command], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert "CardDeclined" in told.stdout, told.stderr


def test_others_do_not_see_a_booking(customer: Page, agency: Agency) -> None:
    number = booked(customer, "Lisbon")
    stranger = customer.context.browser.new_context()
    for path in ("", "/journey"):
        assert stranger.request.get(f"{agency.url}bookings/{number}{path}").status == HTTPStatus.NOT_FOUND
    stranger.close()


# ---------------------------------------------------------------------------------------------------- the page of sagas


@pytest.fixture
def waiting(customer: Page, agency: Agency) -> str:
    """The saga of a trip that waits for an agent, whose page the customer looks at."""
    number = booked(customer, "Antarctica")
    expect(customer.locator('[data-stage="approval"] .words')).to_have_text("waits for an agent")
    ((saga_id,),) = agency.query("SELECT saga_id FROM booking WHERE id = :id", id=number)
    return str(saga_id)


def look_at(desk: Page, agency: Agency, saga_id: str) -> None:
    desk.goto(f"{agency.url}sagas/#/saga/{saga_id}")
    desk.locator(".heading", has_text="agency.trip").wait_for()


def ask(desk: Page, saga_id: str, *, token: str | None, reason: str, **headers: str) -> tuple[int, str]:
    """Ask for `cancel` as the page does, or nearly."""
    sent = {"X-Saga-Console": "1", **headers, **({"X-CSRFToken": token} if token else {})}
    url = f"{desk.url.partition('#')[0]}api/sagas/{saga_id}/cancel"
    answer = desk.request.post(url, data={"reason": reason}, headers=sent)
    return answer.status, answer.text()


def token_of(desk: Page) -> str:
    return str(desk.request.get(f"{desk.url.partition('#')[0]}api/session").json()["csrf_token"])


def version(agency: Agency, saga_id: str) -> int:
    return int(agency.query("SELECT version FROM saga WHERE id = :id", id=saga_id)[0][0])


def test_customers_are_sent_to_the_login(customer: Page, agency: Agency) -> None:
    customer.goto(f"{agency.url}sagas/")
    assert customer.url == f"{agency.url}login?next=/sagas/"


def test_a_trainee_looks_and_does_not_act(agency: Agency, colleague: Any, waiting: str) -> None:
    trainee, before = colleague(agency.trainee), version(agency, waiting)
    look_at(trainee, agency, waiting)
    expect(trainee.get_by_role("heading", name="History")).to_be_visible()
    assert trainee.locator("#saga-main button").count() == 0
    status, told = ask(trainee, waiting, token=token_of(trainee), reason="for fun")
    assert (status, "read_only" in told) == (HTTPStatus.FORBIDDEN, True)
    assert version(agency, waiting) == before


def test_what_an_agent_did_not_ask_for_is_refused(agency: Agency, colleague: Any, waiting: str) -> None:
    agent, before = colleague(agency.agent), version(agency, waiting)
    look_at(agent, agency, waiting)
    token = token_of(agent)
    assert ask(agent, waiting, token=None, reason="no token")[0] == HTTPStatus.BAD_REQUEST
    assert ask(agent, waiting, token="made up", reason="a wrong one")[0] == HTTPStatus.BAD_REQUEST
    foreign = ask(agent, waiting, token=token, reason="from afar", Origin="https://elsewhere.example")
    assert (foreign[0], "another site" in foreign[1]) == (HTTPStatus.FORBIDDEN, True)
    silent = ask(agent, waiting, token=token, reason="")
    assert (silent[0], "say why" in silent[1]) == (HTTPStatus.CONFLICT, True)
    assert version(agency, waiting) == before


def test_the_browser_does_not_send_an_action_without_a_reason(agency: Agency, colleague: Any, waiting: str) -> None:
    agent, sent = colleague(agency.agent), []
    agent.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    look_at(agent, agency, waiting)
    agent.get_by_role("button", name="Suspend …").click()
    agent.get_by_role("dialog").get_by_role("button", name="Suspend").click()
    assert agent.locator("dialog input[name=reason]:invalid").count() == 1
    assert sent == []


def test_an_agent_holds_a_trip_and_lets_it_go_on(customer: Page, agency: Agency, colleague: Any, waiting: str) -> None:
    agent = colleague(agency.agent)
    look_at(agent, agency, waiting)
    act(agent, "suspend", "is the ship seaworthy?")
    held = agent.locator(".notice", has_text=f"Suspended by {agency.agent}")
    expect(held).to_contain_text("is the ship seaworthy?")
    expect(customer.locator("#suspended")).to_be_visible()
    picture(agent, "console")
    act(agent, "resume", "it is")
    expect(customer.locator("#suspended")).to_be_hidden()
    act(agent, "cancel", "it is not")
    becomes(customer, "COMPENSATED")
    expect(customer.locator("#cause")).to_have_text("it is not")


def act(agent: Page, verb: str, reason: str) -> None:
    """An action in the page of sagas, once it offers it."""
    agent.get_by_role("button", name=f"{verb.capitalize()}").click()
    agent.get_by_role("dialog").get_by_label("Reason").fill(reason)
    agent.get_by_role("dialog").get_by_role("button", name=verb.capitalize()).click()
    expect(agent.get_by_role("status")).to_contain_text(f"{verb}: the saga is")


# -------------------------------------------------------------------------------------------------------------- the end


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_nothing_outlives_the_agency(tmp_path: Path, signum: signal.Signals, code: int) -> None:
    """After Ctrl-C no file either; after a kill no process."""
    opened = subprocess.Popen(
        [sys.executable, "-m", "workers.agency", "--json"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    try:
        assert opened.stdout is not None
        assert b'"url"' in opened.stdout.readline()
        family = psutil.Process(opened.pid).children(recursive=True)
        assert len(family) >= 3  # a worker and its two children, and where there is one a Redis
    finally:
        opened.send_signal(signum)
        with opened:
            assert opened.wait(PATIENCE) == code
    assert psutil.wait_procs(family, timeout=PATIENCE)[1] == []
    if signum == signal.SIGINT:
        assert list(tmp_path.iterdir()) == []
