"""The living deployment of `workers/`, started for a test on servers of the test's own."""

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.counter import Shop
from tests.acceptance.deployment import Deployment
from tests.servers import DATABASES, EmbeddedRedis

HERE = Path(__file__).parent
SERVERS = ("mariadb", "postgresql")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Stories that run on every database take one of the two servers by turns, so that CI has the time for them.

    `SAGA_TEST_ALL_DATABASES=1` has them all; the tests of the store always do.
    """
    if os.environ.get("SAGA_TEST_ALL_DATABASES"):
        return
    left_out = [item for item in items if HERE in item.path.parents and _has_its_turn_elsewhere(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _has_its_turn_elsewhere(item: pytest.Item) -> bool:
    database = item.callspec.params.get("database_url") if hasattr(item, "callspec") else None
    story = item.nodeid.partition("[")[0]
    return database in SERVERS and database != SERVERS[zlib.crc32(story.encode()) % 2]


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
