"""A view's start while Redis is away: it returns within a second, and the row is there."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress

import pytest
from celery import Celery
from django.db import transaction

from saga_celery import SagaApp, SagaHandle
from tests.contrib.django.conftest import Shop, empty_tables, on, shop_on
from tests.contrib.django.test_transactions import Undone

MOST_SECONDS = 1.0
"""Of the quickest of some tries: a busy machine may be slow now and then."""
TRIES = 3
HANGING = 10.0
"""Seconds that none may take."""


@contextmanager
def nobody_listens() -> Iterator[int]:
    """A port that refuses."""
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextmanager
def nobody_answers() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        held.listen(64)
        yield held.getsockname()[1]


@pytest.mark.parametrize("outage", [nobody_listens, nobody_answers])
def test_start_returns_within_a_second(
    kept_file: str,
    monkeypatch: pytest.MonkeyPatch,
    outage: Callable[[], AbstractContextManager[int]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with shop_on(monkeypatch, default=on(kept_file)) as shop, outage() as port:
        empty_tables("default")
        started = [_started(shop, port) for _ in range(TRIES)]
        assert {handle.id for handle, _ in started} == set(shop.stored())
    seconds = [each for _, each in started]
    assert min(seconds) < MOST_SECONDS
    assert max(seconds) < HANGING
    assert caplog.text.count("the broker took no nudge") == TRIES


def _started(shop: Shop, port: int) -> tuple[SagaHandle[int], float]:
    """By a process that has served requests, and has heard nothing of its broker yet."""
    app = Celery("shop", broker=f"redis://127.0.0.1:{port}/0", backend=f"redis://127.0.0.1:{port}/1")
    sagas = SagaApp(app)
    try:
        with suppress(Undone), transaction.atomic():
            shop.order.start(0)
            raise Undone
        began = time.monotonic()
        with transaction.atomic():
            shop.effect.objects.count()
            handle = shop.order.start(7)
        return handle, time.monotonic() - began
    finally:
        sagas.dispose()
        app.close()
