"""A participant on each database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.barrier.participant import Participant, open_participant


@pytest.fixture
def participant(database_url: str) -> Iterator[Participant]:
    engine = open_participant(database_url)
    with ThreadPoolExecutor(8) as threads:
        yield Participant(engine, threads)
    engine.dispose()
