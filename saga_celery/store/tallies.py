"""How many sagas there are, told without reading all of them, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from saga_celery.core.states import SagaStatus
from saga_celery.store.connections import Connections
from saga_celery.store.rows import DONE
from saga_celery.store.schema import saga

MOST_ENDED = 10_000
"""Ended sagas that are counted: what has ended is never deleted unasked, so there may be millions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """A number, up to a bound."""

    count: int
    more: bool = False
    """There are more than were counted."""


class Tallies:
    """Counts for people.

    Args:
        connections: the database.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def by_state(self, *, name: str | None = None) -> dict[SagaStatus, Tally]:
        """How many sagas are in each state; states that none is in are left out.

        What is open is counted to the end. What has ended is counted up to 10,000 for each state; of one name, the
        newest 10,000 that have ended in either state.

        Args:
            name: of this name only.
        """
        found = self._open(name)
        found |= self._all_ended() if name is None else self._ended_of(name)
        return {status: found[status] for status in SagaStatus if status in found}

    def names(self, limit: int | None = None) -> list[str]:
        """What the sagas are called, in the order of the database.

        Args:
            limit: how many names at most.
        """
        each = _each_name_on_mariadb() if self._connections.dialect == "mysql" else _each_name()
        return [name for (name,) in self._all(each.limit(limit))]

    def _open(self, name: str | None) -> dict[SagaStatus, Tally]:
        wanted = [saga.c.state.in_([status.value for status in SagaStatus if status not in DONE]), *_named(name)]
        query = sa.select(saga.c.state, sa.func.count()).where(*wanted).group_by(saga.c.state)
        return {SagaStatus(state): Tally(count=count) for state, count in self._all(query)}

    def _all_ended(self) -> dict[SagaStatus, Tally]:
        found: dict[SagaStatus, Tally] = {}
        for status in (SagaStatus(state) for state in DONE):
            some = sa.select(sa.literal(1)).where(saga.c.state == status.value).limit(MOST_ENDED + 1).subquery()
            ((count,),) = self._all(sa.select(sa.func.count()).select_from(some))
            if count:
                found[status] = _capped(count)
        return found

    def _ended_of(self, name: str) -> dict[SagaStatus, Tally]:
        """One walk for all states: a state that hardly any saga of the name is in would be looked for in vain."""
        ended = saga.c.state.in_([SagaStatus(state).value for state in DONE])
        newest = (saga.c.created_at.desc(), saga.c.id.desc())
        some = (
            sa.select(saga.c.state).where(saga.c.name == name, ended).order_by(*newest).limit(MOST_ENDED + 1).subquery()
        )
        rows = self._all(sa.select(some.c.state, sa.func.count()).group_by(some.c.state))
        more = sum(count for _, count in rows) > MOST_ENDED
        return {SagaStatus(state): Tally(count=min(count, MOST_ENDED), more=more) for state, count in rows}

    def _all(self, query: Any) -> Sequence[Any]:
        def once() -> Sequence[Any]:
            with self._connections.autocommit() as connection:
                return connection.execute(query).all()

        return self._connections.reconnected(once)


def _named(name: str | None) -> list[sa.ColumnElement[bool]]:
    return [saga.c.name == name] if name is not None else []


def _capped(count: int) -> Tally:
    return Tally(count=min(count, MOST_ENDED), more=count > MOST_ENDED)


def _each_name() -> sa.Select[Any]:
    """From one name to the next in their index: a DISTINCT would read every row."""
    known = sa.select(sa.func.min(saga.c.name).label("name")).cte("known", recursive=True)
    following = sa.select(sa.func.min(saga.c.name)).where(saga.c.name > known.c.name).scalar_subquery()
    known = known.union_all(sa.select(following).where(known.c.name.is_not(None)))
    return sa.select(known.c.name).where(known.c.name.is_not(None))


def _each_name_on_mariadb() -> sa.Select[Any]:
    """There it is the DISTINCT that jumps, and the other statement that reads every row."""
    return sa.select(saga.c.name).distinct().order_by(saga.c.name)
