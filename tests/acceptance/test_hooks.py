"""Hooks on real workers: told at least once, whatever becomes of their worker, and never in the way of the saga."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.acceptance.counter import Shop

pytestmark = pytest.mark.acceptance


def start(shop: Shop, what: str = "tea") -> str:
    return shop.python(f"from tests.acceptance.hooked import HookedSaga as S; print(S.start({what!r}).id)").strip()


def book(shop: Shop, name: str) -> list[dict[str, Any]]:
    """What hooks or receivers wrote down."""
    path = shop.folder / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def open_hooks(shop: Shop) -> list[tuple[Any, ...]]:
    return shop.query("SELECT task, tries FROM saga_delivery ORDER BY since")


@pytest.mark.parametrize("database", ["its own", "none"], ids=["in place", "reporting"])
def test_a_hook_whose_worker_is_killed_still_arrives(shop: Shop, database: str) -> None:
    """Its message is lost with the worker, as Celery acknowledges early; the row is not."""
    environment = {"SHOP_DATABASE": ""} if database == "none" else {}
    (shop.folder / "hang").touch()
    shop.worker("--pool", "solo", "-Q", "shop", app="hooked")
    victim = shop.worker("--pool", "solo", "-Q", "hooks", "-X", "saga", app="hooked", **environment)

    saga_id = start(shop)
    assert shop.end_of(saga_id) == "COMPLETED"  # nobody waits for a hook
    shop.await_that(lambda: bool(book(shop, "begun")), "the hook in its worker's hands")
    victim.kill()
    (shop.folder / "hang").unlink()
    assert book(shop, "hung") == []
    assert ("hooks.hang",) in {row[:1] for row in open_hooks(shop)}

    shop.worker("--pool", "solo", "-Q", "hooks", "-X", "saga", app="hooked", **environment)
    shop.await_that(lambda: bool(book(shop, "hung")), "the hook after all")
    shop.await_that(lambda: open_hooks(shop) == [], "that every hook is confirmed")
    told = [*book(shop, "begun"), *book(shop, "hung")]
    assert {(event["event"], event["saga_id"]) for event in told} == {("saga_started", saga_id)}
    assert len({event["id"] for event in told}) == 1
    assert {event["event"] for event in book(shop, "noted")} == {"saga_completed"}
    assert book(shop, "signalled") == [{"event": "saga_completed", "saga_id": saga_id}]


def test_a_hook_that_raises_comes_again(shop: Shop) -> None:
    shop.worker("--pool", "solo", "-Q", "shop,hooks", app="hooked")
    saga_id = start(shop, "fail")
    assert shop.end_of(saga_id) == "COMPENSATED"
    shop.await_that(lambda: len(book(shop, "tried")) >= 2, "a second try")
    shop.await_that(lambda: open_hooks(shop) == [], "that it is confirmed")
    first, second, *_ = book(shop, "tried")
    assert first == second
    assert (first["reason"], first["failure"]["message"]) == ("failure", "the till is broken")
