"""The shop of the command line's tests: sagas that are moved by the test's hand."""

from collections.abc import Iterator

import pytest

from tests.cli.conftest import Shop, own_registry, shop, unmigrated
from tests.contrib.console.opened import Opened, opened

__all__ = ["Shop", "own_registry", "shop", "unmigrated"]


@pytest.fixture
def console_page(shop, page) -> Iterator[Opened]:
    """The console in a browser, by somebody who may act."""
    with opened(shop, page) as found:
        yield found
