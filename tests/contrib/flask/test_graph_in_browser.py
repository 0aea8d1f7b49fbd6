"""The picture of the steps in the blueprint's page, in a real browser that keeps to the page's security policy."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from saga_celery.contrib.flask import SagaCelery
from tests.cli.conftest import Shop, shop, unmigrated

__all__ = ["shop", "unmigrated"]


@pytest.fixture
def address(shop: Shop) -> Iterator[str]:
    app = Flask("shop")
    app.extensions["celery"] = shop.app
    SagaCelery(app)
    app.register_blueprint(SagaCelery().blueprint(public=True), url_prefix="/sagas")
    server = make_server("127.0.0.1", 0, app)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}/sagas/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_picture_is_drawn(shop: Shop, address: str, page: Page) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{address}#/saga/{shop.compensated(key='order-7')}")
    picture = page.locator("img.graph")
    expect(picture).to_have_js_property("complete", True, timeout=60_000)
    assert picture.evaluate("picture => picture.naturalWidth") > 300
    assert [words for words in said if "favicon" not in words and "404" not in words] == []
