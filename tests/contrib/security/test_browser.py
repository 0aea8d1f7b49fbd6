"""What somebody wrote into a saga, in a real browser: it is seen, and none of it runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from saga_celery.contrib.ui.application import make_app
from saga_celery.contrib.ui.hosts import Hosts
from saga_celery.contrib.ui.logins import Logins
from tests.cli.conftest import Shop
from tests.contrib.security.hostile import BREAKS_OUT, SHORT

RAN = "() => [window.ran, document.querySelectorAll('script:not([src])').length]"
FORCED = """() => {
    const script = document.createElement("script");
    script.textContent = "window.ran = 1";
    document.body.append(script);
    const picture = document.createElement("img");
    picture.setAttribute("onerror", "window.ran = 1");
    picture.dispatchEvent(new Event("error"));
    return window.ran;
}"""
"""What an attack does that has got into the page."""


@pytest.fixture
def address(shop: Shop) -> Iterator[str]:
    app = make_app(shop.sagas, hosts=Hosts("127.0.0.1", "127.0.0.1"), logins=Logins(), local_user=SHORT, writable=True)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_nothing_of_it_runs(shop: Shop, attacked: dict[str, str], address: str, page: Page) -> None:
    expect.set_options(timeout=60_000)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("dialog", lambda dialog: said.append(dialog.message))
    shop.sagas.pause(name="evil.*", reason=BREAKS_OUT, actor=SHORT)

    page.goto(address)
    expect(page.locator("main")).to_contain_text(SHORT)
    assert page.evaluate(RAN) == [None, 0]

    for saga_id in attacked.values():
        page.goto(f"{address}#/saga/{saga_id}")
        expect(page.locator("main")).to_contain_text(BREAKS_OUT[:30])
        expect(page.locator("svg.graph")).to_be_visible()
        assert page.evaluate(RAN) == [None, 0]
        assert page.locator("main img, main iframe, main script, main a[href^=javascript]").count() == 0
    page.get_by_role("button", name="Resume").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(BREAKS_OUT)
    dialog.get_by_role("button", name="Resume").click()
    expect(dialog).to_be_hidden()
    assert page.evaluate(RAN) == [None, 0]
    assert [each for each in said if "favicon" not in each and "404" not in each] == []  # the policy had nothing to do

    assert page.evaluate(FORCED) is None
    assert [each for each in said if "Content Security Policy" in each]  # here it had
    page.goto(f"{address}api/sagas/{attacked['failed']}/graph.svg")
    assert page.evaluate("() => window.ran") is None
