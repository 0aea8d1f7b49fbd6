"""What people and handles ask. Nothing here steers a saga."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from saga_celery.core.events import OperatorActed, SagaSuspended
from saga_celery.core.states import Direction, Parent, SagaState, SagaStatus, Slot
from saga_celery.engine.ports import Awaited
from saga_celery.errors import SagaNotFound
from saga_celery.store.archive.document import Document
from saga_celery.store.archive.reading import ArchivedSagas
from saga_celery.store.clock import Clock, after, db_between, db_now, now
from saga_celery.store.codec import fact_from_json, from_json, loads
from saga_celery.store.connections import Connections
from saga_celery.store.id_sets import FEW, Condition, IdSet, any_of, read_first, tagged
from saga_celery.store.rows import DONE, letter_from
from saga_celery.store.schema import (
    saga,
    saga_awaited,
    saga_dead_letter,
    saga_history,
    saga_key,
    saga_tag,
    saga_worker,
)
from saga_celery.store.tallies import Tally
from saga_celery.store.views import (
    ChildRow,
    Heartbeat,
    HistoryEntry,
    Letter,
    OpenWait,
    Page,
    SagaRow,
    Snapshot,
    Suspension,
)

STUCK_AFTER = 60.0
"""Seconds for which something awaited may be overdue before its saga counts as stuck: no sweeper runs."""
IN_VAIN = 3
"""Repetitions of one message after which its saga counts as stuck: nobody takes it."""
MAY_BE_SUSPENDED = [status.value for status in SagaStatus if status not in DONE]
"""The states by whose index those that are suspended are found."""
MOST_IDS = 500
"""Ids in one query."""
MOST_LOOKED_AT = 5_000
"""Sagas that are looked at for one page."""

_BEGINNING = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")
_BEHIND = "g"
"""Sorts behind all that an id is made of, by whatever collation."""

_ROW = [
    saga.c.state if part.name == "status" else saga.c[part.name] for part in fields(SagaRow) if part.name != "archived"
]


class Queries:
    """Reads for handles, command line and web pages.

    Args:
        connections: the database.
        clock: whose time counts.
        load: reads a saga's state.
    """

    def __init__(self, connections: Connections, clock: Clock, load: Callable[[str], SagaState | None]) -> None:
        self._connections = connections
        self._clock = clock
        self._load = load
        self._archive = ArchivedSagas(self._all)

    # -------------------------------------------------------------------------------------------------------- one saga

    def id_of(self, name: str, key: str) -> str:
        """The saga that has a key.

        Raises:
            SagaNotFound: none has it.
        """
        query = sa.select(saga_key.c.saga_id).where(saga_key.c.name == name, saga_key.c.key == key)
        for (found,) in self._all(query):
            return str(found)
        raise SagaNotFound(f"no saga {name} has the key {key!r}")

    def owners(self, key: str) -> list[SagaRow]:
        """The sagas that have a key, one for each name that uses it; those in the archive come last."""
        owned = sa.select(*_ROW).join(saga_key, saga_key.c.saga_id == saga.c.id).where(saga_key.c.key == key)
        found = [_saga_row(row) for row in self._all(owned.order_by(saga.c.name))]
        return [*found, *map(_archived_row, self._archive.owners(key))]

    def row(self, saga_id: str) -> SagaRow:
        """A saga as lists show it, also one in the archive.

        Raises:
            SagaNotFound: there is none of this id.
        """
        for row in self._all(sa.select(*_ROW).where(saga.c.id == saga_id)):
            return _saga_row(row)
        return _archived_row(self._archived(saga_id))

    def _archived(self, saga_id: str) -> Document:
        """Asked for behind the other tables: on its way a saga is in either of them."""
        if (found := self._archive.document(saga_id)) is None:
            raise SagaNotFound(f"no saga has the id {saga_id!r}")
        return found

    def snapshot(self, saga_id: str) -> Snapshot:
        """A saga as it stands, also one in the archive.

        Raises:
            SagaNotFound: there is none of this id.
        """
        row, state = self.row(saga_id), self._load(saga_id)
        if state is None:
            document = self._archived(saga_id)
            return Snapshot(saga=_archived_row(document), state=document.state, tags=document.tags, awaited=())
        return Snapshot(
            saga=row, state=state, tags=self.tags([saga_id]).get(saga_id, {}), awaited=self.awaited(saga_id)
        )

    def children(self, saga_id: str) -> list[ChildRow]:
        """The children of a saga, the first one first; of a step that ran anew, those of each time."""
        query = sa.select(*_ROW, saga.c.parent).where(saga.c.parent_id == saga_id)
        found = [_child_row(row) for row in self._all(query.order_by(saga.c.created_at, saga.c.id))]
        return found or self._archived_children(saga_id)

    def _archived_children(self, saga_id: str) -> list[ChildRow]:
        """A family is in the archive as a whole, or not at all."""
        document = self._archive.document(saga_id)
        children = self._archive.documents(document.children) if document is not None else []
        return [ChildRow(slot=_slot_of(each.saga["parent"]), saga=_archived_row(each)) for each in children]

    def statuses(self, saga_ids: Collection[str]) -> dict[str, SagaStatus]:
        """Where sagas stand, also those in the archive; those that are not there are left out."""
        ids = list(saga_ids)
        found: dict[str, SagaStatus] = {}
        for first in range(0, len(ids), MOST_IDS):
            some = saga.c.id.in_(ids[first : first + MOST_IDS])
            found |= {
                row.id: SagaStatus(row.state) for row in self._all(sa.select(saga.c.id, saga.c.state).where(some))
            }
        missing = [saga_id for saga_id in ids if saga_id not in found]
        for first in range(0, len(missing), MOST_IDS):
            found |= self._archive.statuses(missing[first : first + MOST_IDS])
        return found

    def history(self, saga_id: str) -> list[HistoryEntry]:
        """Every transition of a saga, the first one first, also of one in the archive."""
        t = saga_history.c
        query = sa.select(t.version, t.at, t.facts, t.actor).where(t.saga_id == saga_id).order_by(t.version)
        rows: Sequence[Any] = self._all(query)
        if not rows and (document := self._archive.document(saga_id)) is not None:
            rows = document.history
        return [
            HistoryEntry(version=version, at=at, facts=tuple(map(fact_from_json, loads(facts))), actor=actor)
            for version, at, facts, actor in rows
        ]

    def suspensions(self, rows: Iterable[SagaRow]) -> dict[str, Suspension]:
        """Who suspended those sagas among these that are suspended, by their ids."""
        t = saga_history.c
        ids = [row.id for row in rows if row.suspended]
        found: dict[str, Suspension] = {}
        for first in range(0, len(ids), MOST_IDS):
            some = (t.saga_id.in_(ids[first : first + MOST_IDS]), t.actor.is_not(None))
            query = sa.select(t.saga_id, t.at, t.facts).where(*some).order_by(t.saga_id, t.version)
            for saga_id, at, facts in self._all(query):
                acted, *others = map(fact_from_json, loads(facts))
                if isinstance(acted, OperatorActed) and any(isinstance(other, SagaSuspended) for other in others):
                    found[saga_id] = Suspension(since=at, actor=acted.actor, reason=acted.reason)
        return found

    def tags(self, saga_ids: Collection[str]) -> dict[str, dict[str, str]]:
        """The tags of sagas, in the order of their names; those without any are left out.

        Args:
            saga_ids: a page of them.
        """
        t = saga_tag.c
        found: dict[str, dict[str, str]] = {}
        query = sa.select(t.saga_id, t.name, t.value).where(t.saga_id.in_(list(saga_ids)))
        for saga_id, name, value in self._all(query.order_by(t.saga_id, t.name)) if saga_ids else ():
            found.setdefault(saga_id, {})[name] = value
        return found

    def awaited(self, saga_id: str) -> tuple[OpenWait, ...]:
        """What a saga waits for, the most urgent first."""
        t = saga_awaited.c
        rows = self._all(sa.select(saga_awaited).where(t.saga_id == saga_id).order_by(t.due_at))
        return tuple(map(_open_wait, rows))

    def awaited_in_vain(self, saga_ids: Collection[str]) -> dict[str, tuple[OpenWait, ...]]:
        """What sagas wait for that is long overdue or repeats itself, by their ids.

        Args:
            saga_ids: a page of them.
        """
        t = saga_awaited.c
        found: dict[str, tuple[OpenWait, ...]] = {}
        in_vain = sa.or_(self._long_overdue(), _repeated())
        query = sa.select(saga_awaited).where(t.saga_id.in_(list(saga_ids)), in_vain)
        for row in self._all(query.order_by(t.due_at)) if saga_ids else ():
            found[row.saga_id] = (*found.get(row.saga_id, ()), _open_wait(row))
        return found

    # ------------------------------------------------------------------------------------------------------ many sagas

    def find(
        self,
        *,
        name: str | None = None,
        status: SagaStatus | None = None,
        key: str | None = None,
        tags: Mapping[str, str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        stuck: bool = False,
        suspended: bool = False,
        parent: str | None = None,
        ids: Collection[str] | None = None,
        limit: int = 50,
        after: SagaRow | None = None,
    ) -> list[SagaRow]:
        """Sagas, the newest first.

        Args:
            name: of this name only.
            status: of this status only.
            key: started with this key only, also those whose key another one has taken over.
            tags: with all of these tags only.
            since: started then or later, aware.
            until: started then or before, aware.
            stuck: only those in the dead letters, waiting for something long overdue, or repeating themselves in vain.
            suspended: only those that are suspended.
            parent: only the children of the saga of this id.
            ids: only those of these.
            limit: how many at most.
            after: the last one of the page before.
        """
        wanted = _fitting(name=name, status=status, since=since, until=until, suspended=suspended, ids=ids)
        wanted += [saga.c.key == key] if key is not None else []
        wanted += [saga.c.parent_id == parent] if parent is not None else []
        wanted += [_behind(after)] if after is not None else []
        return self._newest(self._sought(wanted, tags, stuck), limit)

    def page(
        self,
        limit: int,
        *,
        after: SagaRow | None = None,
        name: str | None = None,
        status: SagaStatus | None = None,
        tags: Mapping[str, str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        stuck: bool = False,
        suspended: bool = False,
        ids: Collection[str] | None = None,
    ) -> Page:
        """Some of the sagas that `find` would find, in a time that does not depend on how many there are.

        Where so many have a tag, or are stuck, that they can not all be sorted, 5,000 sagas are looked at. A page may
        then have fewer than `limit` sagas, or none, and yet not be the last one.

        Args:
            limit: how many at most.
            after: where the page before ended.
            name: see `find`, as for the rest.
            status: see `find`.
            tags: see `find`.
            since: see `find`.
            until: see `find`.
            stuck: see `find`.
            suspended: see `find`.
            ids: see `find`.
        """
        wanted = _fitting(name=name, status=status, since=since, until=until, suspended=suspended, ids=ids)
        wanted += [_behind(after)] if after is not None else []
        sets = self._sets(tags, stuck)
        few = self._few(sets)
        if few is None and sets:
            return self._looked_through(wanted, sets, limit)
        rows = self._newest(_found(few, sets, wanted), limit + 1)
        return Page(sagas=rows[:limit], end=rows[limit - 1] if len(rows) > limit else None)

    def _looked_through(self, wanted: Sequence[Condition], sets: Sequence[IdSet], limit: int) -> Page:
        newest = (saga.c.created_at.desc(), saga.c.id.desc())
        looked = sa.select(*_ROW).where(*wanted).order_by(*newest).limit(MOST_LOOKED_AT).subquery("looked")
        rows = self._newest(looked, limit + 1, *(each.holds(looked.c.id) for each in sets))
        if len(rows) > limit:
            return Page(sagas=rows[:limit], end=rows[limit - 1])
        last = sa.select(saga.c.id).where(*wanted).order_by(*newest).offset(MOST_LOOKED_AT - 1).limit(1)
        end = [_saga_row(row) for row in self._ad_hoc(sa.select(*_ROW).where(saga.c.id == last.scalar_subquery()))]
        return Page(sagas=rows, end=end[0] if end else None)

    def _newest(self, found: sa.FromClause, limit: int, *wanted: Condition) -> list[SagaRow]:
        newest = (found.c.created_at.desc(), found.c.id.desc())
        columns = [found.c[column.name] for column in _ROW]
        return [
            _saga_row(row) for row in self._ad_hoc(sa.select(*columns).where(*wanted).order_by(*newest).limit(limit))
        ]

    def count(
        self,
        *,
        name: str | None = None,
        status: SagaStatus | None = None,
        tags: Mapping[str, str] | None = None,
        since: datetime | None = None,
        stuck: bool = False,
        suspended: bool = False,
    ) -> int:
        """How many sagas `find` would find, without a limit.

        Args:
            name: see `find`, as for the rest.
            status: see `find`.
            tags: see `find`.
            since: see `find`.
            stuck: see `find`.
            suspended: see `find`.
        """
        wanted = _fitting(name=name, status=status, since=since, suspended=suspended)
        ((found,),) = self._ad_hoc(sa.select(sa.func.count()).select_from(self._sought(wanted, tags, stuck)))
        return int(found)

    def tally(
        self,
        most: int,
        *,
        name: str | None = None,
        status: SagaStatus | None = None,
        tags: Mapping[str, str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        stuck: bool = False,
        suspended: bool = False,
        ids: Collection[str] | None = None,
    ) -> Tally:
        """How many sagas `find` would find, up to a bound.

        Args:
            most: those that are counted.
            name: see `find`, as for the rest.
            status: see `find`.
            tags: see `find`.
            since: see `find`.
            until: see `find`.
            stuck: see `find`.
            suspended: see `find`.
            ids: see `find`.
        """
        wanted = _fitting(name=name, status=status, since=since, until=until, suspended=suspended, ids=ids)
        some = sa.select(sa.literal(1)).select_from(self._sought(wanted, tags, stuck)).limit(most + 1).subquery()
        ((found,),) = self._ad_hoc(sa.select(sa.func.count()).select_from(some))
        return Tally(count=min(found, most), more=found > most)

    def meant_by(self, text: str, names: Collection[str], *, limit: int = MOST_IDS) -> list[str]:
        """The ids of the sagas that a text means: their id, its beginning, or the key that they have.

        Args:
            text: what was typed.
            names: those of the sagas that may have it as their key, for keys are indexed below them.
            limit: how many at most, of those whose id begins so.
        """
        owned = sa.select(saga_key.c.saga_id).where(saga_key.c.name.in_(list(names)), saga_key.c.key == text)
        queries = [owned, *([_beginning(text.lower()).limit(limit)] if _BEGINNING.fullmatch(text.lower()) else [])]
        exact = sa.select(saga.c.id).where(saga.c.id == text)
        return list({str(found): None for query in (exact, *queries) for (found,) in self._all(query)})

    def _sought(self, wanted: Sequence[Condition], tags: Mapping[str, str] | None, stuck: bool) -> sa.FromClause:
        sets = self._sets(tags, stuck)
        return _found(self._few(sets), sets, wanted)

    def _sets(self, tags: Mapping[str, str] | None, stuck: bool) -> list[IdSet]:
        """What is sought is in all of them."""
        return [*(tagged(*tag) for tag in (tags or {}).items()), *([self._stuck()] if stuck else [])]

    def _few(self, sets: Sequence[IdSet]) -> IdSet | None:
        """The first one that is so small that all of its sagas can be read to sort them."""
        return next((each for each in sets if self._is_few(each)), None)

    def _is_few(self, those: IdSet) -> bool:
        some = sa.select(those.ids.subquery()).limit(FEW + 1).subquery()
        ((found,),) = self._ad_hoc(sa.select(sa.func.count()).select_from(some))
        return int(found) <= FEW

    def _stuck(self) -> IdSet:
        t = saga_awaited.c
        return any_of(
            sa.select(saga.c.id.label("saga_id")).where(saga.c.state == SagaStatus.FAILED.value),
            sa.select(saga_dead_letter.c.saga_id),
            sa.select(t.saga_id).where(self._long_overdue()),
            sa.select(t.saga_id).where(_repeated()),
        )

    def _long_overdue(self) -> Condition:
        """The time is asked for once: no index serves a clock that goes on with each row."""
        long_ago = sa.select(after(self._clock, -STUCK_AFTER)).scalar_subquery()
        return saga_awaited.c.due_at < long_ago

    def dead_letters(
        self, *, name: str | None = None, saga_ids: Collection[str] | None = None, limit: int = 50
    ) -> list[Letter]:
        """What waits for an operator, the oldest first.

        Args:
            name: of sagas of this name only.
            saga_ids: of these sagas only.
            limit: how many at most.
        """
        t = saga_dead_letter.c
        wanted = [saga.c.name == name] if name is not None else []
        wanted += [t.saga_id.in_(saga_ids)] if saga_ids is not None else []
        query = sa.select(
            *(saga.c.id, saga.c.name, saga.c.state, t.since),
            *(t.step, t.item, t.direction, t.generation, t.attempt, t.reason, t.detail, t.result),
        ).select_from(saga_dead_letter.join(saga, saga.c.id == t.saga_id))
        oldest = query.where(*wanted).order_by(t.since).limit(limit)
        return [
            Letter(
                saga_id=saga_id,
                saga_name=saga_name,
                status=SagaStatus(state),
                since=since,
                letter=letter_from((*letter, loads(result))),
            )
            for saga_id, saga_name, state, since, *letter, result in self._all(oldest)
        ]

    # --------------------------------------------------------------------------------------------------------- numbers

    def oldest_overdue(self) -> float:
        """Seconds for which the oldest wait has been overdue; 0 when none is. Minutes of it mean: no sweeper runs."""
        age = db_between(sa.func.min(saga_awaited.c.due_at, type_=saga_awaited.c.due_at.type), now(self._clock))
        ((found,),) = self._all(sa.select(age))
        return max(float(found or 0.0), 0.0)

    def unbegun(self, limit: int) -> list[str]:
        """Sagas with a message that was sent, and that no worker has begun with; the longest wait first."""
        waits = sa.select(saga_awaited.c.saga_id).where(saga_awaited.c.awaited == Awaited.START.value)
        since = sa.func.min(saga_awaited.c.since)
        query = waits.group_by(saga_awaited.c.saga_id).order_by(since, saga_awaited.c.saga_id).limit(limit)
        return [str(saga_id) for (saga_id,) in self._all(query)]

    def heartbeats(self) -> list[Heartbeat]:
        """The latest sign of life of every worker process that is known."""
        t = saga_worker.c
        moment = now(self._clock)
        ages = (db_between(t.beat_at, moment), db_between(t.swept_at, moment))
        query = sa.select(t.id, t.beat_at, *ages, t.attempts).order_by(t.id)
        return [
            Heartbeat(
                worker=worker,
                beat_at=beat_at,
                age=float(age),
                attempts=len(loads(attempts)),
                swept=None if swept is None else max(float(swept), 0.0),
            )
            for worker, beat_at, age, swept, attempts in self._all(query)
        ]

    def swept(self) -> float | None:
        """Seconds since a sweeper last finished a round, to within the heartbeat's 5 s; None: none is remembered."""
        t = saga_worker.c
        age = db_between(sa.func.max(t.swept_at, type_=t.swept_at.type), now(self._clock))
        ((found,),) = self._all(sa.select(age))
        return None if found is None else max(float(found), 0.0)

    # ---------------------------------------------------------------------------------------------------- the database

    def now(self) -> datetime:
        """What time it is by the clock that wrote all stored times, aware and in UTC."""
        fixed = self._clock.fixed()
        if fixed is not None:
            return fixed
        found: datetime = self._all(sa.select(db_now()))[0][0]
        return found

    def server(self) -> str:
        """What the database is: `postgresql 16.2`. Connects, so that one that does not answer is told."""
        with self._connections.autocommit() as connection:
            version = ".".join(map(str, connection.dialect.server_version_info or ()))
            return f"{connection.dialect.name} {version}".rstrip()

    def journal_mode(self) -> str | None:
        """How SQLite keeps readers and writers apart, `wal` if all is well; None on other databases."""
        if self._connections.dialect != "sqlite":
            return None
        with self._connections.autocommit() as connection:
            return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one())

    def _all(self, query: sa.Select[Any], **options: Any) -> Sequence[Any]:
        def once() -> Sequence[Any]:
            with self._connections.autocommit() as connection:
                return connection.execute(query.execution_options(**options)).all()

        return self._connections.reconnected(once)

    def _ad_hoc(self, query: sa.Select[Any]) -> Sequence[Any]:
        """A query whose best plan depends on what is asked for."""
        return self._all(query, saga_unprepared=True)


def _fitting(
    *,
    name: str | None = None,
    status: SagaStatus | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    suspended: bool = False,
    ids: Collection[str] | None = None,
) -> list[Condition]:
    """What a row alone can tell."""
    return [
        *([saga.c.name == name] if name is not None else []),
        *([saga.c.state == status.value] if status is not None else []),
        *([saga.c.created_at >= since] if since is not None else []),
        *([saga.c.created_at <= until] if until is not None else []),
        *([saga.c.suspended.is_(True), saga.c.state.in_(MAY_BE_SUSPENDED)] if suspended else []),
        *([saga.c.id.in_(list(ids))] if ids is not None else []),
    ]


def _found(few: IdSet | None, sets: Sequence[IdSet], wanted: Sequence[Condition]) -> sa.FromClause:
    if few is not None:
        return read_first(few, [each for each in sets if each is not few], _ROW, *wanted)
    return sa.select(*_ROW).where(*wanted, *(each.has(saga.c.id) for each in sets)).subquery("found")


def _repeated() -> Condition:
    return sa.or_(saga_awaited.c.resends >= IN_VAIN, saga_awaited.c.failures >= IN_VAIN)


def _beginning(text: str) -> sa.Select[Any]:
    """A range of the primary key; `LIKE` finds its index by some collations only."""
    t = saga.c
    begins = (t.id >= text, t.id < text + _BEHIND, t.id.startswith(text, autoescape=True))
    return sa.select(t.id).where(*begins).order_by(t.id.desc())


def _behind(last: SagaRow) -> Condition:
    """Older than the last one of the page before."""
    same_time = sa.and_(saga.c.created_at == last.created_at, saga.c.id < last.id)
    return sa.and_(saga.c.created_at <= last.created_at, sa.or_(saga.c.created_at < last.created_at, same_time))


def _saga_row(row: Any) -> SagaRow:
    found = {column.name: row._mapping[column.name] for column in _ROW}
    status = SagaStatus(found.pop("state"))
    return SagaRow(status=status, **{**found, "suspended": bool(row.suspended), "overdue": bool(row.overdue)})


def _archived_row(document: Document) -> SagaRow:
    found = {column.name: document.saga[column.name] for column in _ROW}
    return SagaRow(status=SagaStatus(found.pop("state")), archived=True, **found)


def _child_row(row: Any) -> ChildRow:
    return ChildRow(slot=_slot_of(row.parent), saga=_saga_row(row))


def _slot_of(parent: str) -> Slot:
    """The activity of the parent that waits for a child."""
    found: Parent = from_json(Parent, loads(parent))
    return found.slot


def _open_wait(row: Any) -> OpenWait:
    return OpenWait(
        slot=Slot(row.step, row.item, Direction(row.direction), row.generation),
        awaited=Awaited(row.awaited),
        due_at=row.due_at,
        since=row.since,
        attempt=row.attempt,
        worker=row.worker,
        resends=row.resends,
        failures=row.failures,
    )
