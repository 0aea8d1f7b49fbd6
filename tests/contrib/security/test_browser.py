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

RAN = "() => [window.ran, [...document.querySelectorAll('script')].map(each => each.getAttribute('src'))]"
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
    assert page.evaluate(RAN) == [None, ["console.js"]]

    for saga_id in attacked.values():
        page.goto(f"{address}#/saga/{saga_id}")
        expect(page.locator("main")).to_contain_text(BREAKS_OUT[:30])
        page.locator("img.graph").evaluate("picture => picture.decode()")
        assert page.evaluate(RAN) == [None, ["console.js"]]
        assert page.locator("main img:not(.graph), main iframe, main script, main a[href^=javascript]").count() == 0
    page.locator("summary", has_text="resume").first.click()
    form = page.locator("details[open]").first
    form.get_by_label("reason").fill(BREAKS_OUT)
    form.get_by_role("button").click()
    expect(page.locator("#note")).to_contain_text("resume: the saga is")
    assert page.evaluate(RAN) == [None, ["console.js"]]
    assert [each for each in said if "favicon" not in each and "404" not in each] == []  # the policy had nothing to do

    assert page.evaluate(FORCED) is None
    assert [each for each in said if "Content Security Policy" in each]  # here it had
    page.goto(f"{address}api/sagas/{attacked['failed']}/graph.svg")
    assert page.evaluate("() => window.ran") is None
