"""Steps chosen by the input, and the point of no return, on real workers and each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.counter import Shop

pytestmark = pytest.mark.acceptance


@pytest.fixture
def parcels(tmp_path: Path, redis_databases: Iterator[str], database_url: str) -> Iterator[Shop]:
    with Shop(tmp_path, broker=next(redis_databases), database=database_url, app="choices") as shop:
        shop.worker("--concurrency", "2")
        yield shop


def test_sagas_choose_turn_round_and_go_forward(parcels: Shop) -> None:
    shop = parcels
    plain, card, refused, stuck = shop.start(
        {"name": "plain"},
        {"name": "card", "express": True, "greeting": "hello"},
        {"name": "refused", "greeting": "hello", "refused": True},
        {"name": "stuck", "label": "shop.broken"},
        saga="ParcelSaga",
    )
    assert shop.end_of(plain) == "COMPLETED"
    assert shop.effects("plain") == ["reserve", "post without a card", "label"]
    assert shop.end_of(card) == "COMPLETED"
    assert shop.effects("card") == ["reserve", "hello", "courier with a card", "label"]
    assert shop.end_of(refused) == "COMPENSATED"
    assert shop.effects("refused") == ["reserve", "hello", "unwrap", "release"]
    assert "the address is unknown" in shop.cause(refused)

    assert shop.end_of(stuck) == "FAILED"
    assert shop.effects("stuck") == ["reserve", "post without a card", "label", "label"]
    assert [(step, reason) for step, reason, _ in shop.letters(stuck)] == [("label", "exhausted")]
    cancelled = shop.saga("cancel", "stuck", "--reason", "the customer is angry")
    assert (cancelled.returncode, "behind its pivot" in cancelled.stderr) == (1, True)
    (shop.folder / "mended").touch()
    assert shop.saga("retry", "stuck", "--reason", "paper refilled").returncode == 0
    assert shop.end_of(stuck) == "COMPLETED"
    assert "release" not in shop.effects("stuck")
