"""The shop of the command line's tests: sagas that are moved by the test's hand."""

from tests.cli.conftest import Shop, own_registry, shop, unmigrated

__all__ = ["Shop", "own_registry", "shop", "unmigrated"]
