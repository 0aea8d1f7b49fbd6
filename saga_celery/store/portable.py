"""Transitions on MariaDB and SQLite: one short transaction each, for they have no writing statement with parts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from saga_celery.core.states import DeadLetter, SagaState, StepState
from saga_celery.engine.ports import INBOX_ITEM, Change, InboxNews
from saga_celery.store.awaited import woken
from saga_celery.store.clock import Clock, now
from saga_celery.store.codec import facts_to_text, loads
from saga_celery.store.connections import Connections
from saga_celery.store.cursors import Cursor, ListenedCursor
from saga_celery.store.deliveries import delivery_row, delivery_times
from saga_celery.store.inbox import news_from
from saga_celery.store.opening import opened
from saga_celery.store.others import touches_others, write_others
from saga_celery.store.payload_rows import keep_payloads, payload_rows
from saga_celery.store.ready import Compilable, Ready
from saga_celery.store.rows import (
    DONE,
    Row,
    actor_of,
    awaited_rows,
    changed_steps,
    letter_from,
    new_letters,
    saga_row,
    settled_letters,
    settled_slots,
    state_from,
    step_from,
    step_row,
)
from saga_celery.store.schema import (
    saga,
    saga_awaited,
    saga_dead_letter,
    saga_delivery,
    saga_history,
    saga_inbox,
    saga_step,
)
from saga_celery.store.transitions import stored
from saga_celery.store.upsert import upsert

_SLOT = ("saga_id", "step", "item", "direction")
_AWAITED = ("generation", "awaited", "due_at", "attempt", "epoch", "worker", "timeout", "resends", "failures", "since")

_OF_SAGA, _OF_STEP, _OF_LETTER, _OF_INBOX = range(4)


def _load(*, inbox: bool) -> sa.CompoundSelect[Any]:
    """All rows of a saga by one statement, hence of one moment; each column holds one type, or none."""
    saga_id: sa.BindParameter[str] = sa.bindparam("id")
    nothing = [sa.null()] * 4
    t, s, d, i = saga.c, saga_step.c, saga_dead_letter.c, saga_inbox.c
    flags, names, texts = (
        (t.suspended, t.overdue, t.priority, t.gated),
        (t.id, t.name, t.plan_hash, t.state, t.parked_from),
        (t.input, t.result, t.turn, t.headers, t.mail, t.parent),
    )
    number = sa.literal(0)
    of_saga = sa.select(sa.literal(_OF_SAGA).label("kind"), t.version, number, number, *flags, *names, *texts)
    of_steps = sa.select(
        sa.literal(_OF_STEP),
        s.start_order,
        s.item,
        sa.null(),
        *nothing[:4],
        s.step,
        s.status,
        *nothing[:3],
        s.result,
        s.activities,
        *nothing,
    )
    of_letters = sa.select(
        sa.literal(_OF_LETTER),
        d.place,
        d.item,
        d.attempt,
        *nothing[:2],
        d.generation,
        sa.null(),
        d.step,
        d.direction,
        d.reason,
        *nothing[:2],
        d.result,
        d.detail,
        *nothing,
    )
    coming = sa.func.row_number().over(order_by=(i.at, i.id))
    of_news = sa.select(
        sa.literal(_OF_INBOX), coming, *nothing[:2], *nothing, i.id, *nothing, i.body, *nothing, sa.null()
    )
    return sa.union_all(
        of_saga.where(t.id == saga_id),
        of_steps.where(s.saga_id == saga_id),
        of_letters.where(d.saga_id == saga_id),
        *([of_news.where(i.saga_id == saga_id, sa.not_(i.taken))] if inbox else []),
    )


LOAD, LOAD_WITH_INBOX = _load(inbox=False), _load(inbox=True)


class _Overtaken(Exception):
    """Another transition came first: roll everything back."""


class _Statements:
    """What a transition executes. To put a statement together costs more than to run it, so it is done once."""

    def __init__(self, dialect: Dialect, clock: Clock) -> None:
        time = now(clock)
        name = "mysql" if dialect.name == "mariadb" else dialect.name

        def ready(statement: Compilable) -> Ready:
            return Ready(statement, dialect)

        self.move = {done: ready(_move(time, done=done)) for done in (False, True)}
        self.note = ready(sa.insert(saga_history).values(at=time))
        self.step = ready(upsert(name, saga_step, {}, ("status", "start_order", "result", "activities")))
        self.own_waits = ready(_own_waits())
        self.settle = ready(delete_rows(saga_awaited))
        self.wake = ready(woken(clock))
        self.open = ready(upsert(name, saga_awaited, opened(clock), (*_AWAITED, "version")))
        self.answer = ready(delete_rows(saga_dead_letter))
        renewed = ("reason", "detail", "result", "since", "place")
        self.letter = ready(upsert(name, saga_dead_letter, {"since": time}, renewed))
        self.tell = ready(sa.insert(saga_delivery).values(delivery_times(clock)))
        self.keep = ready(keep_payloads(name))


def _move(time: sa.ColumnElement[datetime], *, done: bool) -> sa.Update:
    ended_at = sa.func.coalesce(saga.c.ended_at, time) if done else sa.null()
    return (
        sa.update(saga)
        .where(saga.c.id == sa.bindparam("id_"), saga.c.version == sa.bindparam("version_"))
        .values(version=saga.c.version + 1, updated_at=time, ended_at=ended_at)
    )


def _own_waits() -> sa.Select[Any]:
    mine = saga_awaited.c.saga_id == sa.bindparam("saga_id_")
    return sa.select(*(saga_awaited.c[name] for name in _SLOT[1:])).where(mine, saga_awaited.c.item > INBOX_ITEM)


class PortableTransitions:
    """Loads and stores transitions with statements that MariaDB and SQLite know.

    Args:
        connections: the database.
        clock: whose time counts.
    """

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    # ------------------------------------------------------------------------------------------------------------ load

    def load(self, saga_id: str) -> SagaState | None:
        """Read a saga as the last commit left it; None when there is none."""
        return _state(self._read(LOAD, saga_id))

    def load_with_inbox(self, saga_id: str) -> tuple[SagaState | None, Sequence[InboxNews]]:
        """Read a saga, and the news that no transition has taken yet, the oldest first, as of one moment."""
        rows = self._read(LOAD_WITH_INBOX, saga_id)
        return _state(rows), [_news(saga_id, row) for row in rows if row.kind == _OF_INBOX]

    def _read(self, query: sa.CompoundSelect[Any], saga_id: str) -> list[Any]:
        """Rows of all kinds, each kind in its order."""

        def once() -> list[Any]:
            with self._connections.autocommit() as connection:
                return sorted(connection.execute(query, {"id": saga_id}), key=_place)

        return self._connections.reconnected(once)

    # ------------------------------------------------------------------------------------------------------------ save

    def save(self, change: Change) -> bool:
        """Store a transition; False when another one came first."""

        def once() -> bool:
            try:
                self._store(change)
            except _Overtaken:
                return False
            return True

        return stored(self._connections, once, change)

    def _store(self, change: Change) -> None:
        if touches_others(change):
            with self._connections.transaction() as connection:
                self._write(ListenedCursor(connection), change)
                write_others(connection, change, self._clock)
        else:
            with self._connections.cursor(transaction=True) as cursor:
                self._write(cursor, change)

    def _write(self, cursor: Cursor, change: Change) -> None:
        here = {"saga_id": change.before.id}
        there = {"id_": change.before.id, "version_": change.before.version}
        version = change.before.version + 1
        done = change.after.status in DONE
        statements = self._statements
        if statements.move[done].once(cursor, {**saga_row(change.after), **there}) != 1:
            raise _Overtaken
        noted = {"version": version, "facts": facts_to_text(change.facts), "actor": actor_of(change)}
        statements.note.once(cursor, {**here, **noted})
        statements.step.each(cursor, [{**here, **step_row(step)} for step in changed_steps(change)])
        settled = self._all_settled(cursor, change) if done else settled_slots(change)
        statements.settle.each(cursor, keys_of(change, settled))
        if change.wakes and not done:
            statements.wake.once(cursor, {"saga_id_": change.before.id, "version_": version})
        statements.open.each(cursor, [{**here, **row} for row in awaited_rows(change)])
        statements.answer.each(cursor, keys_of(change, settled_letters(change)))
        statements.letter.each(cursor, [{**here, **row} for row in new_letters(change)])
        statements.tell.each(cursor, [*map(delivery_row, change.deliveries)])
        statements.keep.each(cursor, payload_rows(change.payloads))

    def _all_settled(self, cursor: Cursor, change: Change) -> list[Row]:
        """All that a saga which is done awaits itself, and the news that it took.

        Found before it is deleted: MariaDB's DELETE would wait for whoever is just leaving news in the saga's inbox.
        """
        self._statements.own_waits.once(cursor, {"saga_id_": change.before.id})
        own = [dict(zip(_SLOT[1:], row, strict=True)) for row in cursor.fetchall()]
        return [*own, *(slot for slot in settled_slots(change) if slot["item"] == INBOX_ITEM)]

    @property
    def _statements(self) -> _Statements:
        """Those of a clock that tests turn have its time in them."""
        if self._clock.fixed() is None:
            return self._lasting_statements
        return _Statements(self._connections.engine.dialect, self._clock)

    @cached_property
    def _lasting_statements(self) -> _Statements:
        return _Statements(self._connections.engine.dialect, self._clock)


def delete_rows(table: sa.Table) -> sa.Delete:
    """Delete rows of one saga by their keys."""
    return sa.delete(table).where(*(column == sa.bindparam(f"{column.name}_") for column in table.primary_key.columns))


def keys_of(change: Change, rows: list[Row]) -> list[Row]:
    """Parameters of `delete_rows`."""
    return [{f"{name}_": value for name, value in {"saga_id": change.before.id, **row}.items()} for row in rows]


def _place(row: Any) -> int:
    """Steps stand in the order of their starts, letters in that of their coming."""
    place: int = row[1]
    return place


def _state(rows: list[Any]) -> SagaState | None:
    row = next((row for row in rows if row.kind == _OF_SAGA), None)
    if row is None:
        return None
    _, version, _, _, suspended, overdue, priority, gated, id_, name, plan_hash, status, parked_from, *texts = row
    flags = (suspended, overdue, *texts[3:], priority, gated)
    values = (id_, name, plan_hash, status, version, *texts[:3], parked_from, *flags)
    steps = [_step(row) for row in rows if row.kind == _OF_STEP]
    return state_from(values, steps, [_letter(row) for row in rows if row.kind == _OF_LETTER])


def _step(row: Any) -> StepState:
    _, order, item, _, _, _, _, _, name, status, _, _, _, result, activities, *_ = row
    return step_from((name, item, status, order, loads(result), loads(activities)))


def _news(saga_id: str, row: Any) -> InboxNews:
    _, _, _, _, _, _, _, _, name, _, _, _, _, body, *_ = row
    return news_from(saga_id, name, body)


def _letter(row: Any) -> DeadLetter:
    _, _, item, attempt, _, _, generation, _, name, direction, reason, _, _, result, detail, *_ = row
    return letter_from((name, item, direction, generation, attempt, reason, detail, loads(result)))
