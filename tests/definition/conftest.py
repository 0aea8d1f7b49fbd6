"""Every test may register sagas of its own; they are forgotten afterwards."""

import pytest

from saga_celery.definition import registry


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_sagas", dict(registry._sagas))
