"""The tab in each release of Flower that is supported, besides the one that is installed: they are fetched for it.

`SAGA_TEST_FLOWER_RELEASES` names them, as in `.ci/run`; without it nothing is fetched, and nothing tested here.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from http import HTTPStatus

import pytest

from saga_celery.contrib import console
from tests.contrib.flower.test_flower import ANN, UNWANTED, with_token

RELEASES = os.environ.get("SAGA_TEST_FLOWER_RELEASES", "").split()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize("release", RELEASES)
def test_the_tab_is_in_this_release(shop, flower, tmp_path, release):
    saga_id = shop.start(key="order-1")
    fetched = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--target", str(tmp_path)]
    subprocess.run([*fetched, f"flower=={release}", "pytz"], check=True, timeout=240)
    own = f"--port={free_port()}"  # 2.0 does not tell which one it took
    started = flower(own, "--basic_auth=ann:s3cret", settings={"saga_console_writable": True})
    assert not [line for line in started.log if "without the Sagas tab" in line]

    for path in ("/workers", "/tasks", "/sagas/"):
        page = started.ask(path, **ANN)
        assert (page.status, 'href="/sagas/"' in page.text) == (HTTPStatus.OK, True), path
    for name in console.ASSETS:
        if name != "index.html":
            assert started.ask(f"/sagas/{name}", **ANN).status == HTTPStatus.OK
    assert started.ask("/sagas/api/sagas").status == HTTPStatus.UNAUTHORIZED
    listed = started.ask("/sagas/api/sagas?search=order-1", **ANN)
    assert [each["id"] for each in listed.json["sagas"]] == [saga_id]
    cancel = f"/sagas/api/sagas/{saga_id}/cancel"
    assert started.ask(cancel, method="POST", body=UNWANTED, **ANN).status == HTTPStatus.FORBIDDEN
    act = with_token(started, ANN)
    assert started.ask(cancel, method="POST", body=UNWANTED, **act).status == HTTPStatus.OK
    assert shop.sagas.store.queries.row(saga_id).status == "COMPENSATED"
