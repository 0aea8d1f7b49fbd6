"""The living deployment of `workers/`, started for a test on servers of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.counter import Shop
from tests.acceptance.deployment import Deployment
from tests.servers import DATABASES, EmbeddedRedis


@pytest.fixture
def own_redis() -> Iterator[EmbeddedRedis]:
    """A Redis that this test may flush and kill."""
    server = EmbeddedRedis()
    yield server
    server.stop()


@pytest.fixture
def deployment(tmp_path: Path, own_redis: EmbeddedRedis, database_url: str) -> Iterator[Deployment]:
    """All services with databases of their own, a coordinator on `database_url`, no worker started yet."""
    with Deployment(tmp_path, broker=own_redis.url, database=database_url) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[EmbeddedRedis]:
    """A Redis for all shops of this test process, each in a database of its own; nobody kills it."""
    server = EmbeddedRedis()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_databases(shared_redis: EmbeddedRedis) -> Iterator[str]:
    """URLs of empty databases of that Redis, one after the other."""
    return (shared_redis.database(number) for number in range(DATABASES))


@pytest.fixture(scope="module")
def open_shop(tmp_path_factory: pytest.TempPathFactory, redis_databases: Iterator[str]) -> Iterator[Shop]:
    """A shop with one prefork worker of two children, for all tests of a module."""
    folder = tmp_path_factory.mktemp("shop")
    with Shop(folder, broker=next(redis_databases), database=f"sqlite:///{folder / 'saga.db'}") as shop:
        shop.worker("--concurrency", "2")
        yield shop


@pytest.fixture
def shop(tmp_path: Path, redis_databases: Iterator[str]) -> Iterator[Shop]:
    """A shop of the test's own, without a worker."""
    with Shop(tmp_path, broker=next(redis_databases), database=f"sqlite:///{tmp_path / 'saga.db'}") as shop:
        yield shop
