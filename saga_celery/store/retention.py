"""Sagas that have ended leave: deleted, or moved into the archive, some hundred in each short transaction.

A family leaves as a whole, once all of it has ended, and with it nothing that somebody may still need: a saga with a
dead letter stays, and so does one of which a hook has yet to be told. Keys stay for ever. What is being moved is first
locked and then looked at, so that an operator who sets a saga going, or news of an effect that came too late, either
come first, and it stays, or find it gone. Nobody is waited for.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from saga_celery.core.states import SagaStatus
from saga_celery.store.archive.document import Document
from saga_celery.store.connections import Connections
from saga_celery.store.rows import DONE
from saga_celery.store.schema import (
    saga,
    saga_archive,
    saga_awaited,
    saga_dead_letter,
    saga_delivery,
    saga_history,
    saga_inbox,
    saga_payload,
    saga_step,
    saga_tag,
    saga_ticket,
)

TRANSITIONS = 50
"""Transitions of a saga on average that a batch has room for; longer sagas come in smaller batches."""

_ENDED = frozenset(status.value for status in DONE)
_OF_A_SAGA = (saga_step, saga_history, saga_tag, saga_inbox)
"""Where the rows of a saga are that has ended, beside its own."""
_NEEDED = (saga_dead_letter, saga_delivery, saga_awaited, saga_ticket)
"""A saga with rows there stays."""

Place: TypeAlias = tuple[datetime, str]
"""End and id of a saga: where a walk has got to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Old:
    """Sagas that ended long enough ago; those that are a child of another one leave with that."""

    name: str
    before: Mapping[SagaStatus, datetime]
    """Of those that ended so, the ones that ended before that time, aware."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """What one transaction did."""

    ids: tuple[str, ...] = ()
    """The sagas that left, whole families of them."""
    kept: int = 0
    """Families that were old enough, and stay."""
    behind: Place | None = None
    """Where to go on; None: there are no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """A saga in the hands of a transaction."""

    id: str
    root: str
    parent: str | None
    version: int
    ended: bool


class Retention:
    """Finds what is old, and moves it.

    Args:
        connections: the database.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def names(self) -> list[str]:
        """What archived sagas are called."""
        return [name for (name,) in self._read(sa.select(saga_archive.c.name).distinct())]

    def plan_hash(self, name: str) -> str | None:
        """The plan of a saga of a name; None: there is none."""
        query = sa.select(saga.c.plan_hash).where(saga.c.name == name).limit(1)
        found = [str(found) for (found,) in self._read(query)] or self._plan_hashes_archived(name)
        return found[0] if found else None

    def _plan_hashes_archived(self, name: str) -> list[str]:
        query = sa.select(saga_archive.c.document).where(saga_archive.c.name == name).limit(1)
        return [str(Document.unpack(packed).saga["plan_hash"]) for (packed,) in self._read(query)]

    def delete(self, old: Old, limit: int, behind: Place | None = None) -> Portion:
        """Delete sagas, the oldest first.

        Args:
            old: which.
            limit: how many families at most.
            behind: where the portion before ended.
        """
        return self._connections.run(lambda own: self._moved(own, old, limit, behind, archived=False))

    def archive(self, old: Old, limit: int, behind: Place | None = None) -> Portion:
        """Move sagas into the archive, the oldest first.

        Args:
            old: which.
            limit: see `delete`, as for the rest.
            behind: see `delete`.
        """
        return self._connections.run(lambda own: self._moved(own, old, limit, behind, archived=True))

    def delete_archived(self, old: Old, limit: int, behind: Place | None = None) -> Portion:
        """Delete sagas from the archive, the oldest first.

        Args:
            old: which.
            limit: see `delete`, as for the rest.
            behind: see `delete`.
        """
        return self._connections.run(lambda own: self._delete_archived(own, old, limit, behind))

    def preview(self, old: Old, limit: int, behind: Place | None = None) -> Portion:
        """What `delete` or `archive` would move now; nothing is locked.

        Args:
            old: which.
            limit: see `delete`, as for the rest.
            behind: see `delete`.
        """
        with self._connections.autocommit() as connection:
            return self._found(connection, old, limit, behind, locked=False)[1]

    def preview_archived(self, old: Old, limit: int, behind: Place | None = None) -> Portion:
        """What `delete_archived` would delete now.

        Args:
            old: which.
            limit: see `delete`, as for the rest.
            behind: see `delete`.
        """
        with self._connections.autocommit() as connection:
            return self._archived(connection, old, limit, behind, locked=False)

    # ------------------------------------------------------------------------------------------------------------ move

    def _moved(self, own: Connection, old: Old, limit: int, behind: Place | None, *, archived: bool) -> Portion:
        members, portion = self._found(own, old, limit, behind, locked=True)
        if not portion.ids:
            return portion
        if archived:
            own.execute(sa.insert(saga_archive), self._documents(own, members))
        for table in (*_OF_A_SAGA, *([] if archived else [saga_payload])):
            own.execute(sa.delete(table).where(self._among(table.c.saga_id, portion.ids)))
        own.execute(sa.delete(saga).where(self._among(saga.c.id, portion.ids)))
        return portion

    def _delete_archived(self, own: Connection, old: Old, limit: int, behind: Place | None) -> Portion:
        portion = self._archived(own, old, limit, behind, locked=True)
        if portion.ids:
            own.execute(sa.delete(saga_payload).where(self._among(saga_payload.c.saga_id, portion.ids)))
            own.execute(sa.delete(saga_archive).where(self._among(saga_archive.c.id, portion.ids)))
        return portion

    # ------------------------------------------------------------------------------------------------------------ find

    def _found(
        self, own: Connection, old: Old, limit: int, behind: Place | None, *, locked: bool
    ) -> tuple[list[_Member], Portion]:
        """The sagas that may leave, with their families, all of them locked before anything else is asked of them."""
        rows = own.execute(_locked(_ended(old, limit, behind), locked), execution_options=_UNPREPARED).all()
        children = self._children_of_others(own, rows)
        every = [_Member(id=row.id, root=row.id, parent=None, version=row.version, ended=True) for row in rows]
        every = _as_many_as_fit(every, [each for each in every if each.id not in children], limit)
        members = [each for each in every if each.id not in children]
        members += self._descendants(own, members, locked=locked)
        every = _as_many_as_fit(every, members, limit)
        tops = {each.id for each in every} - children
        leaving = tops - {each.root for each in members if not each.ended} - self._needed(own, members)
        members = [each for each in members if each.root in leaving]
        last = None if len(every) == len(rows) < limit else (rows[len(every) - 1].ended_at, every[-1].id)
        ids = tuple(each.id for each in members)
        return members, Portion(ids=ids, kept=len(tops) - len(leaving), behind=last)

    def _children_of_others(self, own: Connection, rows: Sequence[Any]) -> set[str]:
        """Those that leave with their parents, if these are there; asked for by itself, as no plan for both is good."""
        parents = {row.id: row.parent_id for row in rows if row.parent_id is not None}
        query = sa.select(saga.c.id).where(self._among(saga.c.id, set(parents.values())))
        there = set(own.execute(query).scalars()) if parents else set()
        return {saga_id for saga_id, parent in parents.items() if parent in there}

    def _descendants(self, own: Connection, tops: Sequence[_Member], *, locked: bool) -> Iterator[_Member]:
        """Children, and theirs. No more can come, for their parents are locked."""
        columns = (saga.c.id, saga.c.parent_id, saga.c.version, saga.c.state)
        parents = {each.id: each.root for each in tops}
        while parents:
            query = sa.select(*columns).where(self._among(saga.c.parent_id, parents))
            children = own.execute(query.order_by(saga.c.created_at, saga.c.id)).all()
            free = self._lock(own, [child.id for child in children]) if locked else None
            for child in children:
                yield _Member(
                    id=child.id,
                    root=parents[child.parent_id],
                    parent=child.parent_id,
                    version=child.version,
                    ended=child.state in _ENDED if free is None else free.get(child.id) in _ENDED,
                )
            parents = {child.id: parents[child.parent_id] for child in children}

    def _lock(self, own: Connection, saga_ids: Sequence[str]) -> dict[str, str]:
        """Those that nobody else has at hand, and their states from then on."""
        query = sa.select(saga.c.id, saga.c.state).where(self._among(saga.c.id, saga_ids))
        rows = own.execute(query.with_for_update(skip_locked=True)).all() if saga_ids else []
        return {row.id: row.state for row in rows}

    def _needed(self, own: Connection, members: Sequence[_Member]) -> set[str]:
        """The tops of the families of which somebody may still need something."""
        roots = {each.id: each.root for each in members}
        queries = [sa.select(table.c.saga_id).where(self._among(table.c.saga_id, roots)) for table in _NEEDED]
        found = own.execute(sa.union(*queries)).scalars() if roots else ()
        return {roots[saga_id] for saga_id in found}

    def _archived(self, own: Connection, old: Old, limit: int, behind: Place | None, *, locked: bool) -> Portion:
        t = saga_archive.c
        wanted = [*_ended_before(t, old), t.root_id.is_(None), *_behind(t, behind)]
        query = sa.select(t.id, t.ended_at).where(*wanted).order_by(t.ended_at, t.id).limit(limit)
        rows = own.execute(_locked(query, locked), execution_options=_UNPREPARED).all()
        tops = [row.id for row in rows]
        of_families = sa.select(t.id).where(self._among(t.root_id, tops))
        descendants = own.execute(of_families).scalars().all() if tops else ()
        last = (rows[-1].ended_at, rows[-1].id) if len(rows) == limit else None
        return Portion(ids=(*tops, *descendants), behind=last)

    # ------------------------------------------------------------------------------------------------------- documents

    def _documents(self, own: Connection, members: Sequence[_Member]) -> list[dict[str, Any]]:
        """Rows of the archive."""
        ids = [each.id for each in members]
        sagas = {row.id: row._mapping for row in own.execute(sa.select(saga).where(self._among(saga.c.id, ids)))}
        steps = self._rows(own, saga_step, ids, "start_order")
        history = self._rows(own, saga_history, ids, "version")
        tags = self._rows(own, saga_tag, ids, "name")
        children: dict[str | None, list[str]] = defaultdict(list)
        for each in members:
            children[each.parent].append(each.id)
        return [
            {
                "id": each.id,
                "name": sagas[each.id]["name"],
                "state": sagas[each.id]["state"],
                "ended_at": sagas[each.id]["ended_at"],
                "root_id": None if each.root == each.id else each.root,
                "document": Document(
                    saga=dict(sagas[each.id]),
                    steps=steps[each.id],
                    history=history[each.id],
                    tags=dict(tags[each.id]),
                    children=children[each.id],
                ).pack(),
            }
            for each in members
        ]

    def _rows(self, own: Connection, table: sa.Table, ids: Sequence[str], order: str) -> dict[str, list[Any]]:
        """The rows of a table by their sagas, without the saga's id."""
        found: dict[str, list[Any]] = defaultdict(list)
        for saga_id, *row in own.execute(
            sa.select(table).where(self._among(table.c.saga_id, ids)).order_by(table.c[order])
        ):
            found[saga_id].append(row)
        return found

    # ---------------------------------------------------------------------------------------------------------- inside

    def _among(self, column: ColumnElement[str], ids: Collection[str]) -> ColumnElement[bool]:
        """As one parameter where that can be, so that the statement is the same however many there are."""
        match self._connections.dialect:
            case "postgresql":
                strings = postgresql.ARRAY(sa.String)
                return column == sa.any_(sa.cast(sa.bindparam(None, list(ids), strings), strings))
            case "sqlite":
                each = sa.func.json_each(json.dumps(list(ids))).table_valued("value")
                return column.in_(sa.select(each.c.value))
            case _:
                return column.in_(list(ids))

    def _read(self, query: sa.Select[Any]) -> Sequence[Any]:
        def once() -> Sequence[Any]:
            with self._connections.autocommit() as connection:
                return connection.execute(query).all()

        return self._connections.reconnected(once)


_UNPREPARED = {"saga_unprepared": True}
"""What is old is much or little: the plan depends on the time that is asked for."""


def _locked(query: sa.Select[Any], locked: bool) -> sa.Select[Any]:
    return query.with_for_update(skip_locked=True) if locked else query


def _ended(old: Old, limit: int, behind: Place | None) -> sa.Select[Any]:
    t = saga.c
    wanted = [*_ended_before(t, old), *_behind(t, behind)]
    return sa.select(t.id, t.version, t.ended_at, t.parent_id).where(*wanted).order_by(t.ended_at, t.id).limit(limit)


def _ended_before(t: Any, old: Old) -> list[ColumnElement[bool]]:
    """The first two conditions are those of an index."""
    either = [sa.and_(t.state == status.value, t.ended_at < moment) for status, moment in old.before.items()]
    return [t.name == old.name, t.ended_at < max(old.before.values()), sa.or_(*either)]


def _behind(t: Any, place: Place | None) -> list[ColumnElement[bool]]:
    if place is None:
        return []
    moment, saga_id = place
    return [t.ended_at >= moment, sa.or_(t.ended_at > moment, t.id > saga_id)]


def _as_many_as_fit(tops: list[_Member], members: Sequence[_Member], limit: int) -> list[_Member]:
    """The first ones, at least one, so that no transaction takes long."""
    transitions = Counter[str]()
    for each in members:
        transitions[each.root] += each.version
    so_far = accumulate(transitions[each.id] for each in tops)
    return [
        each
        for place, (each, taken) in enumerate(zip(tops, so_far, strict=True))
        if not place or taken <= limit * TRANSITIONS
    ]
