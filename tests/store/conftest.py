"""The contract suite: the same tests on every database that this run covers."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from saga_celery.store import SQLStore
from saga_celery.store.clock import FakeClock
from saga_celery.store.migrate import migrate

NOON = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
def database_url(migrated_url: str) -> str:
    """With the tables; what is about making them takes an empty one."""
    return migrated_url


@pytest.fixture
def another(database_url: str, clock: FakeClock) -> Iterator[Callable[..., SQLStore]]:
    """Make a further store on the same database, as another process would have."""
    made: list[SQLStore] = []

    def make(**options: object) -> SQLStore:
        options = {"clock": clock, **options}
        made.append(SQLStore(database_url, chance=lambda: 0.5, **options))
        return made[-1]

    yield make
    for store in made:
        store.dispose()


@pytest.fixture
def store(another: Callable[..., SQLStore]) -> SQLStore:
    """A store with its tables, on a clock that the test turns."""
    return another()


@pytest.fixture
def postgres_store(postgres_url: str, clock: FakeClock) -> Iterator[SQLStore]:
    made = SQLStore(postgres_url, chance=lambda: 0.5, clock=clock)
    migrate(made.connections)
    yield made
    made.dispose()
