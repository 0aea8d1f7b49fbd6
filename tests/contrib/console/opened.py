"""The console in a browser: a Flask app serves it, and everybody is ann."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from flask import Flask
from playwright.sync_api import Locator, Page, Request, expect
from werkzeug.serving import make_server

from saga_celery.contrib.flask import SagaCelery
from tests.cli.conftest import Shop

expect.set_options(timeout=60_000)  # milliseconds: the machine may be busy


@dataclass
class Opened:
    """The console, opened by somebody."""

    page: Page
    address: str
    asked: list[Request] = field(default_factory=list)

    def __call__(self, place: str = "") -> Opened:
        """Go to a place of it, and wait until something is shown there."""
        self.page.goto(self.address + place)
        expect(self.page.locator("#live")).to_have_text("live")
        return self

    def saga(self, saga_id: str) -> Opened:
        return self(f"#/saga/{saga_id}")

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    @property
    def note(self) -> Locator:
        return self.page.locator("#note")

    def press(self, button: str) -> Locator:
        """A button that opens the dialog."""
        self.page.get_by_role("button", name=button).click()
        expect(self.dialog).to_be_visible()
        return self.dialog

    def looks(self, path: str) -> int:
        """How many times something was asked for."""
        return sum(each.url.partition("/sagas/")[2].startswith(path) for each in self.asked)


@contextmanager
def opened(shop: Shop, page: Page, *, writable: bool = True) -> Iterator[Opened]:
    """Serve the console while it lasts."""
    app = Flask("shop")
    app.extensions["celery"] = shop.app
    SagaCelery(app)
    app.register_blueprint(SagaCelery().blueprint(authorize=lambda: "ann", writable=writable), url_prefix="/sagas")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        found = Opened(page, f"http://127.0.0.1:{server.port}/sagas/")
        page.on("request", lambda request: found.asked.append(request))
        yield found
    finally:
        page.goto("about:blank")  # it asks no more
        server.shutdown()
        thread.join()
        server.server_close()
