"""A Redis of its own for these tests, and laboratories on it."""

import pytest

from tests.servers import DATABASES, EmbeddedRedis
from tests.transport.lab import Lab


@pytest.fixture(scope="session")
def transport_redis():
    server = EmbeddedRedis()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def databases(transport_redis):
    """URLs of empty databases of that Redis; none is given twice, as what dies late may still write into its own."""
    return (transport_redis.database(number) for number in range(DATABASES))


@pytest.fixture(scope="module")
def module_lab(databases, tmp_path_factory):
    lab = Lab(next(databases), tmp_path_factory.mktemp("lab") / "log")
    yield lab
    lab.stop()


@pytest.fixture
def lab(databases, tmp_path):
    lab = Lab(next(databases), tmp_path / "log")
    yield lab
    lab.stop()
