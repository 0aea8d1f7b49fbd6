"""The shop of the command line's tests, and sagas that attack who looks at them."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Shop, own_registry, shop, unmigrated
from tests.contrib.security import hostile

__all__ = ["own_registry", "shop", "unmigrated"]


@pytest.fixture
def attacked(shop: Shop) -> dict[str, str]:
    """Two sagas in which every field is an attack, by what they are."""
    hostile.define()
    return {"failed": hostile.failed(shop), "chained": hostile.chained(shop)}
