"""A transition as one statement of PostgreSQL, hence in one round trip, which commits by itself.

It has a part for each kind of rows that the transition writes, and none for the others: what a part costs the server,
it costs even where it has nothing to do. Few rows are parameters of their own, many are one parameter. So there are few
texts in all, and the server plans each of them once for each connection.
"""

# ruff: noqa: S608 - the texts are made of nothing but what stands here

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from saga_celery.engine.ports import Change
from saga_celery.store.awaited import ASLEEP
from saga_celery.store.codec import dumps, facts_to_text
from saga_celery.store.deliveries import delivery_row
from saga_celery.store.ends import CHANNEL
from saga_celery.store.rows import (
    DONE,
    Row,
    actor_of,
    awaited_rows,
    changed_steps,
    new_letters,
    saga_row,
    settled_letters,
    settled_slots,
    step_row,
)

FEW = 4
"""Rows of one kind that are parameters of their own."""

_SLOT = {"step": "varchar", "item": "integer", "direction": "varchar"}
_LETTER = {**_SLOT, "generation": "integer", "attempt": "integer"}
_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "steps": {
        "step": "varchar",
        "item": "integer",
        "status": "varchar",
        "start_order": "integer",
        "result": "text",
        "activities": "text",
    },
    "settled": _SLOT,
    "awaited": {
        **_SLOT,
        "generation": "integer",
        "awaited": "varchar",
        "attempt": "integer",
        "epoch": "integer",
        "worker": "varchar",
        "timeout": "double precision",
        "seconds": "double precision",
        "version": "integer",
    },
    "answered": _LETTER,
    "letters": {**_LETTER, "reason": "varchar", "detail": "text", "result": "text", "place": "bigint"},
    "deliveries": {
        "id": "varchar",
        "event": "varchar",
        "task": "varchar",
        "payload": "text",
        "headers": "text",
        "tries": "integer",
        "seconds": "double precision",
    },
}
"""The kinds of rows, and the columns of each."""


class Shape(NamedTuple):
    """What tells the statement of one transition from that of another: how many rows there are of each kind."""

    steps: int
    settled: int
    awaited: int
    answered: int
    letters: int
    deliveries: int
    payloads: bool
    done: bool
    wakes: bool
    ends: bool


def statement_of(change: Change, now: datetime | None) -> tuple[str, dict[str, Any]]:
    """The statement that stores a transition, and its parameters; it answers how many sagas it moved: one or none.

    Args:
        change: the transition.
        now: the time to use; None: the server's.
    """
    rows = {
        "steps": [step_row(step) for step in changed_steps(change)],
        "settled": settled_slots(change),
        "awaited": awaited_rows(change),
        "answered": settled_letters(change),
        "letters": new_letters(change),
        "deliveries": [*map(delivery_row, change.deliveries)],
    }
    shape = Shape(
        **{kind: min(len(found), FEW + 1) for kind, found in rows.items()},
        payloads=bool(change.payloads),
        done=change.after.status in DONE,
        wakes=change.wakes,
        ends=change.after.status.ended and not change.before.status.ended,
    )
    parameters = {
        **saga_row(change.after),
        "id": change.before.id,
        "version": change.before.version,
        "facts": facts_to_text(change.facts),
        "actor": actor_of(change),
        "now": now,
        **_payloads(change),
    }
    for kind, found in rows.items():
        parameters |= _parameters(kind, found)
    return text_of(shape), parameters


def _parameters(kind: str, rows: Sequence[Row]) -> dict[str, Any]:
    if len(rows) > FEW:
        return {kind: dumps(rows)}
    return {f"{kind}_{number}_{name}": row[name] for number, row in enumerate(rows) for name in _COLUMNS[kind]}


def _payloads(change: Change) -> dict[str, Any]:
    """As arrays: inside JSON a large text would be written and read once more."""
    if not change.payloads:
        return {}
    return {
        "payload_sagas": [each.saga_id for each in change.payloads],
        "payload_digests": [each.digest for each in change.payloads],
        "payload_bodies": [each.body for each in change.payloads],
    }


# ---------------------------------------------------------------------------------------------------------------- text

_NOW = "coalesce(%(now)s::timestamptz, statement_timestamp())"
_NOTED = """noted AS (
  INSERT INTO saga_history (saga_id, version, at, facts, actor)
  SELECT id, version, now, %(facts)s::text, %(actor)s::varchar FROM moved
)"""


@cache
def text_of(shape: Shape) -> str:
    """The text for all transitions that write the same kinds of rows."""
    parts = [_moved(shape), _NOTED, *(text(shape) for kind, text in _PARTS.items() if _writes(shape, kind))]
    # Only an end is called out: in the server such commits queue up behind each other.
    counted = f"pg_notify('{CHANNEL}', id)" if shape.ends else "*"
    return f"WITH {', '.join(parts)}\nSELECT count({counted}) FROM moved"


def _writes(shape: Shape, kind: str) -> bool:
    if kind == "wakes":
        return shape.wakes and not shape.done
    return bool(getattr(shape, kind)) or (kind == "settled" and shape.done)


def _moved(shape: Shape) -> str:
    ended_at = f"coalesce(ended_at, {_NOW})" if shape.done else "NULL"
    return f"""moved AS (
  UPDATE saga SET version = version + 1, state = %(state)s::varchar, result = %(result)s::text, turn = %(turn)s::text,
    parked_from = %(parked_from)s::varchar, suspended = %(suspended)s::boolean, overdue = %(overdue)s::boolean,
    mail = %(mail)s::text, updated_at = {_NOW}, ended_at = {ended_at}
  WHERE id = %(id)s::varchar AND version = %(version)s::integer
  RETURNING id, version, updated_at AS now
)"""


def _rows(kind: str, count: int, alias: str, columns: Mapping[str, str] | None = None) -> str:
    """The rows of one kind, or some columns of them, as a table."""
    columns = columns or _COLUMNS[kind]
    if count > FEW:
        described = ", ".join(f"{name} {sort}" for name, sort in columns.items())
        return f"jsonb_to_recordset(%({kind})s::jsonb) AS {alias} ({described})"
    rows = (", ".join(f"%({kind}_{row}_{name})s::{columns[name]}" for name in columns) for row in range(count))
    return f"(VALUES {', '.join(f'({row})' for row in rows)}) AS {alias} ({', '.join(columns)})"


def _names(kind: str, alias: str = "") -> str:
    return ", ".join(f"{alias}{name}" for name in _COLUMNS[kind] if name != "seconds")


def _stepped(shape: Shape) -> str:
    return f"""stepped AS (
  INSERT INTO saga_step (saga_id, {_names("steps")})
  SELECT moved.id, {_names("steps", "s.")} FROM moved, {_rows("steps", shape.steps, "s")}
  ON CONFLICT (saga_id, step, item) DO UPDATE SET status = excluded.status, start_order = excluded.start_order,
    result = excluded.result, activities = excluded.activities
)"""


def _settled(shape: Shape) -> str:
    """Of a saga that is done, all that it awaits itself: news that came meanwhile stay to be looked at."""
    slots = [_slots(shape)] if shape.settled else []
    wanted = ["a.item >= 0", *slots] if shape.done else slots
    return f"""settled AS (
  DELETE FROM saga_awaited a USING moved WHERE a.saga_id = %(id)s::varchar AND ({" OR ".join(wanted)})
)"""


def _slots(shape: Shape) -> str:
    """One slot is found by its key, whatever the server thinks of the table."""
    if shape.settled == 1:
        return " AND ".join(f"a.{name} = %(settled_0_{name})s::{sort}" for name, sort in _SLOT.items())
    return f"({_names('settled', 'a.')}) IN (SELECT {_names('settled')} FROM {_rows('settled', shape.settled, 's')})"


def _woken(shape: Shape) -> str:
    """See `saga_celery.store.awaited.woken`; what this very transition settles or opens is left to it."""
    touched = [
        f"SELECT {_names('settled')} FROM {_rows(kind, count, 'w', _SLOT)}"
        for kind, count in (("awaited", shape.awaited), ("settled", shape.settled))
        if count
    ]
    others = f" AND ({_names('settled', 'a.')}) NOT IN ({' UNION ALL '.join(touched)})" if touched else ""
    return f"""woken AS (
  UPDATE saga_awaited a SET version = moved.version,
    due_at = CASE WHEN a.due_at > now + make_interval(secs => {ASLEEP}) THEN now ELSE a.due_at END
  FROM moved WHERE a.saga_id = moved.id{others}
)"""


def _opened(shape: Shape) -> str:
    return f"""opened AS (
  INSERT INTO saga_awaited (saga_id, due_at, since, resends, failures, {_names("awaited")})
  SELECT moved.id, now + make_interval(secs => d.seconds), now, 0, 0, {_names("awaited", "d.")}
  FROM moved, {_rows("awaited", shape.awaited, "d")}
  ON CONFLICT (saga_id, step, item, direction) DO UPDATE SET generation = excluded.generation,
    awaited = excluded.awaited, due_at = excluded.due_at, attempt = excluded.attempt, epoch = excluded.epoch,
    worker = excluded.worker, timeout = excluded.timeout, resends = 0, failures = 0, since = excluded.since,
    version = excluded.version
)"""


def _answered(shape: Shape) -> str:
    return f"""answered AS (
  DELETE FROM saga_dead_letter l USING moved WHERE l.saga_id = moved.id AND ({_names("answered", "l.")}) IN (
    SELECT {_names("answered")} FROM {_rows("answered", shape.answered, "s")})
)"""


def _lettered(shape: Shape) -> str:
    return f"""lettered AS (
  INSERT INTO saga_dead_letter (saga_id, since, {_names("letters")})
  SELECT moved.id, now, {_names("letters", "l.")} FROM moved, {_rows("letters", shape.letters, "l")}
  ON CONFLICT (saga_id, step, item, direction, generation, attempt) DO UPDATE SET reason = excluded.reason,
    detail = excluded.detail, result = excluded.result, since = excluded.since, place = excluded.place
)"""


def _told(shape: Shape) -> str:
    return f"""told AS (
  INSERT INTO saga_delivery (saga_id, since, due_at, {_names("deliveries")})
  SELECT moved.id, now, now + make_interval(secs => d.seconds), {_names("deliveries", "d.")}
  FROM moved, {_rows("deliveries", shape.deliveries, "d")}
)"""


def _kept(shape: Shape) -> str:
    return """kept AS (
  INSERT INTO saga_payload (saga_id, digest, body)
  SELECT p.saga_id, p.digest, p.body
  FROM moved, unnest(%(payload_sagas)s::varchar[], %(payload_digests)s::varchar[], %(payload_bodies)s::text[])
    AS p (saga_id, digest, body)
  ON CONFLICT (saga_id, digest) DO NOTHING
)"""


_PARTS: Mapping[str, Callable[[Shape], str]] = {
    "steps": _stepped,
    "settled": _settled,
    "wakes": _woken,
    "awaited": _opened,
    "answered": _answered,
    "letters": _lettered,
    "deliveries": _told,
    "payloads": _kept,
}
"""What writes the rows of each kind."""
