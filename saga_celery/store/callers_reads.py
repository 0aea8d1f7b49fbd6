"""Reading through a caller's own transaction: what it has not committed is seen, and nobody waits for its locks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData

from saga_celery.core.states import SagaState
from saga_celery.store.clock import Clock
from saga_celery.store.executors import Executor
from saga_celery.store.portable import PortableTransitions
from saga_celery.store.queries import Queries
from saga_celery.store.queues import Queues

T = TypeVar("T")


class Reads(Protocol):
    """What handles read with."""

    @property
    def queries(self) -> Queries:
        """Sagas, their histories and tags."""
        ...

    @property
    def queues(self) -> Queues:
        """What those wait for that have not begun."""
        ...


class CallersReads:
    """Reads through an executor.

    Args:
        executor: the caller's transaction.
        clock: whose time counts.
    """

    def __init__(self, executor: Executor, clock: Clock) -> None:
        through: Any = _Through(executor)
        load: Callable[[str], SagaState | None] = PortableTransitions(through, clock).load
        self.queries = Queries(through, clock, load)
        self.queues = Queues(through, clock)


class _Through:
    """Stands where those who read expect the store's own connections."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.dialect = executor.dialect

    @contextmanager
    def autocommit(self) -> Iterator[_Through]:
        """There is but one connection, and its transaction is not ours."""
        yield self

    def reconnected(self, work: Callable[[], T]) -> T:
        """A transaction whose connection broke is gone with it."""
        return work()

    def execute(self, query: sa.Select[Any], parameters: Mapping[str, Any] | None = None) -> IteratorResult[Any]:
        """The rows, as SQLAlchemy would give them."""
        if parameters:
            query = query.params(dict(parameters))
        columns = list(query.selected_columns)
        rows = self._executor.read(query)
        keys = [str(column.key) for column in columns]
        return IteratorResult(SimpleResultMetaData(keys, extra=[(column,) for column in columns]), map(tuple, rows))
