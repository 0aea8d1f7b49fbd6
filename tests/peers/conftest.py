"""Worlds in which the bugs of other saga libraries are tried on ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from saga_celery.definition import registry
from tests.peers.world import World


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test defines its own sagas, under whatever name."""
    monkeypatch.setattr(registry, "_sagas", {})


@pytest.fixture
def world(sqlite_url: str) -> Iterator[World]:
    made = World(sqlite_url)
    yield made
    made.store.dispose()
