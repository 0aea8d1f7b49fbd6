"""Transitions on PostgreSQL: one statement each, hence one round trip, which commits by itself.

The text of the statements never changes, so that the server plans them once for each connection.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from saga_celery.core.states import SagaState
from saga_celery.engine.ports import Change, InboxNews
from saga_celery.store.awaited import ASLEEP
from saga_celery.store.clock import Clock
from saga_celery.store.codec import dumps, facts_to_text
from saga_celery.store.connections import Connections
from saga_celery.store.deliveries import delivery_row
from saga_celery.store.ends import CHANNEL
from saga_celery.store.inbox import news_from
from saga_celery.store.others import touches_others, write_others
from saga_celery.store.rows import (
    DONE,
    SAGA_COLUMNS,
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
from saga_celery.store.transitions import stored

_LOAD = """
SELECT {columns},
  (SELECT json_agg(
       json_build_array(step, item, status, start_order, result::json, activities::json) ORDER BY start_order)
     FROM saga_step WHERE saga_id = saga.id)::text,
  (SELECT json_agg(
       json_build_array(step, item, direction, generation, attempt, reason, detail, result::json) ORDER BY place)
     FROM saga_dead_letter WHERE saga_id = saga.id)::text{more}
FROM saga WHERE id = %(id)s::varchar
"""
_INBOX = """,
  (SELECT json_agg(json_build_array(id, body) ORDER BY at, id)
     FROM saga_inbox WHERE saga_id = saga.id AND NOT taken)::text"""
LOAD = _LOAD.format(columns=", ".join(SAGA_COLUMNS), more="")
LOAD_WITH_INBOX = _LOAD.format(columns=", ".join(SAGA_COLUMNS), more=_INBOX)

SAVE = """
WITH moment AS (
  SELECT coalesce(%(now)s::timestamptz, clock_timestamp()) AS now
), moved AS (
  UPDATE saga SET version = version + 1, state = %(state)s::varchar, result = %(result)s::text, turn = %(turn)s::text,
    parked_from = %(parked_from)s::varchar, suspended = %(suspended)s::boolean, overdue = %(overdue)s::boolean,
    mail = %(mail)s::text,
    updated_at = now, ended_at = CASE WHEN %(done)s::boolean THEN coalesce(ended_at, now) END
  FROM moment WHERE id = %(id)s::varchar AND version = %(version)s::integer
  RETURNING id, version, now
), noted AS (
  INSERT INTO saga_history (saga_id, version, at, facts, actor)
  SELECT id, version, now, %(facts)s::text, %(actor)s::varchar FROM moved
), stepped AS (
  INSERT INTO saga_step (saga_id, step, item, status, start_order, result, activities)
  SELECT id, s.* FROM moved, jsonb_to_recordset(%(steps)s::jsonb)
    AS s (step varchar, item integer, status varchar, start_order integer, result text, activities text)
  ON CONFLICT (saga_id, step, item) DO UPDATE SET status = excluded.status, start_order = excluded.start_order,
    result = excluded.result, activities = excluded.activities
), settled AS (
  DELETE FROM saga_awaited a USING moved
  WHERE a.saga_id = id AND (%(done)s::boolean AND a.item >= 0 OR (a.step, a.item, a.direction) IN (
    SELECT step, item, direction FROM jsonb_to_recordset(%(settled)s::jsonb)
      AS s (step varchar, item integer, direction varchar)))
), opened AS (
  INSERT INTO saga_awaited (saga_id, step, item, direction, generation, awaited, due_at, attempt, epoch, worker,
    timeout, resends, failures, since, version)
  SELECT id, d.step, d.item, d.direction, d.generation, d.awaited, now + make_interval(secs => d.seconds), d.attempt,
    d.epoch, d.worker, d.timeout, 0, 0, now, d.version
  FROM moved, jsonb_to_recordset(%(awaited)s::jsonb)
    AS d (step varchar, item integer, direction varchar, generation integer, awaited varchar, seconds double precision,
      attempt integer, epoch integer, worker varchar, timeout double precision, version integer)
  ON CONFLICT (saga_id, step, item, direction) DO UPDATE SET generation = excluded.generation,
    awaited = excluded.awaited, due_at = excluded.due_at, attempt = excluded.attempt, epoch = excluded.epoch,
    worker = excluded.worker, timeout = excluded.timeout, resends = 0, failures = 0, since = excluded.since,
    version = excluded.version
), answered AS (
  DELETE FROM saga_dead_letter l USING moved
  WHERE l.saga_id = id AND (l.step, l.item, l.direction, l.generation, l.attempt) IN (
    SELECT step, item, direction, generation, attempt FROM jsonb_to_recordset(%(settled_letters)s::jsonb)
      AS s (step varchar, item integer, direction varchar, generation integer, attempt integer))
), lettered AS (
  INSERT INTO saga_dead_letter (saga_id, step, item, direction, generation, attempt, reason, detail, result, since,
    place)
  SELECT id, l.step, l.item, l.direction, l.generation, l.attempt, l.reason, l.detail, l.result, now, l.place
  FROM moved, jsonb_to_recordset(%(letters)s::jsonb)
    AS l (step varchar, item integer, direction varchar, generation integer, attempt integer, reason varchar,
      detail text, result text, place bigint)
  ON CONFLICT (saga_id, step, item, direction, generation, attempt) DO UPDATE SET reason = excluded.reason,
    detail = excluded.detail, result = excluded.result, since = excluded.since, place = excluded.place
)
SELECT count(*) FROM moved
"""

_END = "\nSELECT count(*) FROM moved\n"
_TOLD = """, told AS (
  INSERT INTO saga_delivery (id, saga_id, event, task, payload, headers, tries, since, due_at)
  SELECT d.id, moved.id, d.event, d.task, d.payload, d.headers, d.tries, now, now + make_interval(secs => d.seconds)
  FROM moved, jsonb_to_recordset(%(deliveries)s::jsonb)
    AS d (id varchar, event varchar, task varchar, payload text, headers text, tries integer, seconds double precision)
)"""
SAVE_AND_TELL = SAVE.replace(_END, _TOLD + _END)
"""Where hooks are to be told; transitions without hooks do not pay for it."""
_WOKEN = f""", woken AS (
  UPDATE saga_awaited a SET version = moved.version,
    due_at = CASE WHEN a.due_at > now + make_interval(secs => {ASLEEP}) THEN now ELSE a.due_at END
  FROM moved WHERE a.saga_id = id AND NOT %(done)s::boolean AND (a.step, a.item, a.direction) NOT IN (
    SELECT step, item, direction FROM jsonb_to_recordset(%(awaited)s::jsonb)
      AS w (step varchar, item integer, direction varchar)
    UNION ALL SELECT step, item, direction FROM jsonb_to_recordset(%(settled)s::jsonb)
      AS w (step varchar, item integer, direction varchar))
)"""  # noqa: S608 - a number, written in the module of the waits


@cache
def waking(statement: str) -> str:
    """The same statement for a transition that resumes its saga: see `saga_celery.store.awaited.woken`."""
    return statement.replace(_END, _WOKEN + _END)


_KEPT = """, kept AS (
  INSERT INTO saga_payload (saga_id, digest, body)
  SELECT p.saga_id, p.digest, p.body
  FROM moved, unnest(%(payload_sagas)s::varchar[], %(payload_digests)s::varchar[], %(payload_bodies)s::text[])
    AS p (saga_id, digest, body)
  ON CONFLICT (saga_id, digest) DO NOTHING
)"""


@cache
def keeping(statement: str) -> str:
    """The same statement for a transition whose facts refer to payloads."""
    return statement.replace(_END, _KEPT + _END)


@cache
def calling_out(statement: str) -> str:
    """The same statement for a transition that ends its saga: calls that out to those who wait.

    In the server such commits queue up behind each other, which is why no other transition does it.
    """
    return statement.replace("SELECT count(*)", f"SELECT count(pg_notify('{CHANNEL}', id))")


class PostgresTransitions:
    """Loads and stores transitions in one round trip each.

    Args:
        connections: the database.
        clock: whose time counts.
    """

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    def load(self, saga_id: str) -> SagaState | None:
        """Read a saga as the last commit left it; None when there is none."""
        row = self._connections.reconnected(lambda: self._read(LOAD, saga_id))
        return None if row is None else _state(row)

    def load_with_inbox(self, saga_id: str) -> tuple[SagaState | None, Sequence[InboxNews]]:
        """Read a saga, and the news that no transition has taken yet, the oldest first, as of one moment."""
        row = self._connections.reconnected(lambda: self._read(LOAD_WITH_INBOX, saga_id))
        if row is None:
            return None, []
        *state, inbox = row
        return _state(state), [news_from(saga_id, *news) for news in _array(inbox)]

    def save(self, change: Change) -> bool:
        """Store a transition; False when another one came first."""

        ends = change.after.status.ended and not change.before.status.ended
        plain = SAVE_AND_TELL if change.deliveries else SAVE
        statement = keeping(plain) if change.payloads else plain
        statement = waking(statement) if change.wakes else statement
        statement = calling_out(statement) if ends else statement

        def once() -> bool:
            with self._connections.autocommit() as connection:
                return bool(connection.exec_driver_sql(statement, self._parameters(change)).scalar_one())

        def once_with_others() -> bool:
            with self._connections.transaction() as connection:
                saved = bool(connection.exec_driver_sql(statement, self._parameters(change)).scalar_one())
                if saved:
                    write_others(connection, change, self._clock)
                return saved

        return stored(self._connections, once_with_others if touches_others(change) else once, change)

    def _read(self, statement: str, saga_id: str) -> Sequence[Any] | None:
        with self._connections.autocommit() as connection:
            return connection.exec_driver_sql(statement, {"id": saga_id}).one_or_none()

    def _parameters(self, change: Change) -> dict[str, Any]:
        fixed = self._clock.fixed()
        return {
            **saga_row(change.after),
            "id": change.before.id,
            "version": str(change.before.version),
            "done": change.after.status in DONE,
            "facts": facts_to_text(change.facts),
            "actor": actor_of(change),
            "steps": dumps([step_row(step) for step in changed_steps(change)]),
            "settled": dumps(settled_slots(change)),
            "awaited": dumps(awaited_rows(change)),
            "settled_letters": dumps(settled_letters(change)),
            "letters": dumps(new_letters(change)),
            **({"deliveries": dumps([*map(delivery_row, change.deliveries)])} if change.deliveries else {}),
            **_payloads(change),
            "now": fixed.isoformat() if fixed else None,
        }


def _payloads(change: Change) -> dict[str, Any]:
    """As arrays: inside JSON a large text would be written and read once more."""
    if not change.payloads:
        return {}
    return {
        "payload_sagas": [each.saga_id for each in change.payloads],
        "payload_digests": [each.digest for each in change.payloads],
        "payload_bodies": [each.body for each in change.payloads],
    }


def _state(row: Sequence[Any]) -> SagaState:
    *saga, steps, letters = row
    return state_from(saga, map(step_from, _array(steps)), map(letter_from, _array(letters)))


def _array(text: str | None) -> list[Any]:
    """`json_agg` of nothing is NULL."""
    found: list[Any] = json.loads(text) if text else []
    return found
