"""Where the reconciliation reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

SAGA = "saga"


@dataclass(frozen=True, slots=True, kw_only=True)
class Databases:
    """The sagas' database, and those of the services."""

    saga: str
    service: str
    """`{service}` in it stands for the service's name."""

    def url(self, name: str) -> str:
        """The URL of the sagas' database, or of a service's."""
        return self.saga if name == SAGA else self.service.replace("{service}", name)

    @contextmanager
    def open(self, name: str) -> Iterator[Connection]:
        """A connection in one transaction of its own, committed at the end."""
        engine = create_engine(self.url(name), poolclass=NullPool)
        with engine.begin() as connection:
            yield connection
