"""Which sagas have not ended, by the plans that they are pinned to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from saga_celery.core.states import SagaStatus, StepStatus
from saga_celery.store.connections import Connections
from saga_celery.store.schema import saga, saga_step
from saga_celery.store.views import OpenGroup

OPEN = (SagaStatus.RUNNING, SagaStatus.FAILED, SagaStatus.COMPENSATING, SagaStatus.PENDING)
"""States that a saga can still leave; those in which the most is left to do, and known, come first."""
PAGE = 500
_UNDER_WAY = (
    StepStatus.DISPATCHED,
    StepStatus.BACKING_OFF,
    StepStatus.PROBING,
    StepStatus.AWAITING,
    StepStatus.IN_DOUBT,
    StepStatus.EXHAUSTED,
)
"""Where a step may still be probed."""


class OpenSagas:
    """Reads, and only reads.

    Args:
        connections: the database.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def groups(self) -> list[OpenGroup]:
        """The open sagas by name and plan, with their numbers."""
        columns = (saga.c.name, saga.c.plan_hash)
        query = sa.select(*columns, sa.func.count()).where(saga.c.state.in_([each.value for each in OPEN]))
        rows = self._all(query.group_by(*columns).order_by(*columns))
        return [OpenGroup(name=name, plan_hash=plan_hash, count=count) for name, plan_hash, count in rows]

    def ids(self, group: OpenGroup) -> Iterator[str]:
        """The sagas of a group, page by page; in each state the oldest one first."""
        for status in OPEN:
            last: tuple[datetime, str] | None = None
            while rows := self._page(group, status, last):
                yield from (row.id for row in rows)
                last = (rows[-1].created_at, rows[-1].id)

    def probed(self, group: OpenGroup) -> frozenset[str]:
        """Steps that are under way and whose stored message speaks of a probe; rather one too many than one too few."""
        t = saga_step.c
        wanted = [saga.c.state.in_([each.value for each in OPEN]), *_of(group)]
        told = [t.status.in_([each.value for each in _UNDER_WAY]), t.activities.contains('"probe":true')]
        query = sa.select(t.step).distinct().select_from(saga_step.join(saga, saga.c.id == t.saga_id))
        return frozenset(row.step for row in self._all(query.where(*wanted, *told)))

    def _page(self, group: OpenGroup, status: SagaStatus, last: tuple[datetime, str] | None) -> list[Any]:
        wanted = [saga.c.state == status.value, *_of(group), *([_behind(*last)] if last else [])]
        query = sa.select(saga.c.id, saga.c.created_at).where(*wanted)
        return self._all(query.order_by(saga.c.created_at, saga.c.id).limit(PAGE))

    def _all(self, query: sa.Select[Any]) -> list[Any]:
        def once() -> list[Any]:
            with self._connections.autocommit() as connection:
                return list(connection.execute(query).all())

        return self._connections.reconnected(once)


def _of(group: OpenGroup) -> list[ColumnElement[bool]]:
    return [saga.c.name == group.name, saga.c.plan_hash == group.plan_hash]


def _behind(created_at: datetime, saga_id: str) -> ColumnElement[bool]:
    same_time = sa.and_(saga.c.created_at == created_at, saga.c.id > saga_id)
    return sa.and_(saga.c.created_at >= created_at, sa.or_(saga.c.created_at > created_at, same_time))
