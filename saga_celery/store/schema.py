"""The tables. What is open lives in narrow tables whose rows are deleted, so that finished sagas cost nothing.

JSON is stored as text that this library wrote itself, so that all databases read the same.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from saga_celery.store.columns import HASH, ID, NAME, WORD, WORKER, UtcTime, long_bytes, long_text, name_of

metadata = sa.MetaData()


def _slot() -> list[sa.Column[object]]:
    """Columns that name an activity of a saga."""
    return [
        sa.Column("saga_id", name_of(ID), primary_key=True),
        sa.Column("step", name_of(NAME), primary_key=True),
        sa.Column("item", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("direction", name_of(WORD), primary_key=True),
    ]


def valued_only(column: str) -> dict[str, Any]:
    """Options of an index in which rows without a value take no place, where the database can leave them out."""
    has_value = sa.text(f"{column} IS NOT NULL")
    return {"postgresql_where": has_value, "sqlite_where": has_value}


saga = sa.Table(
    "saga",
    metadata,
    sa.Column("id", name_of(ID), primary_key=True),
    sa.Column("name", name_of(NAME), nullable=False),
    sa.Column("key", name_of(NAME)),
    sa.Column("state", name_of(WORD), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("plan_hash", name_of(HASH), nullable=False),
    sa.Column("input", long_text()),
    sa.Column("result", long_text()),
    sa.Column("turn", long_text()),
    sa.Column("parked_from", name_of(WORD)),
    sa.Column("suspended", sa.Boolean, nullable=False),
    sa.Column("overdue", sa.Boolean, nullable=False),
    sa.Column("headers", long_text(), nullable=False),
    sa.Column("mail", long_text()),
    sa.Column("parent", long_text()),
    sa.Column("parent_id", name_of(ID)),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
    sa.Column("ended_at", UtcTime),
    sa.Column("deadline_at", UtcTime),
    sa.Column("priority", sa.Integer),
    sa.Column("gated", sa.Boolean),
    sa.Column("lock", name_of(NAME)),
    sa.Column("starts_at", UtcTime),
    sa.Index("saga_by_state", "state", "created_at"),
    sa.Index("saga_by_name", "name", "created_at"),
    sa.Index("saga_by_time", "created_at"),
    sa.Index("saga_by_parent", "parent_id"),
    sa.Index("saga_by_end", "name", "ended_at", **valued_only("ended_at")),
)
"""One row for each saga. `key` is here for the eye; what guards keys is `saga_key`. `mail`: events that came before
their waits; `parent`: the activity of another saga whose child it is."""

saga_step = sa.Table(
    "saga_step",
    metadata,
    sa.Column("saga_id", name_of(ID), primary_key=True),
    sa.Column("step", name_of(NAME), primary_key=True),
    sa.Column("item", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("status", name_of(WORD), nullable=False),
    sa.Column("start_order", sa.Integer, nullable=False),
    sa.Column("result", long_text()),
    sa.Column("activities", long_text(), nullable=False),
)
"""One row for each step whose turn has come, and for each item of a fan-out. `activities` holds the messages and how
far their attempts got; of a fan-out also how many items it has."""

saga_history = sa.Table(
    "saga_history",
    metadata,
    sa.Column("saga_id", name_of(ID), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("facts", long_text(), nullable=False),
    sa.Column("actor", name_of(NAME)),
)
"""One row for each transition, without gaps: the facts that led to this version; `actor` is a person's name, if any."""

saga_awaited = sa.Table(
    "saga_awaited",
    metadata,
    *_slot(),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("awaited", name_of(WORD), nullable=False),
    sa.Column("due_at", UtcTime, nullable=False, index=True),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("worker", name_of(WORKER), nullable=False),
    sa.Column("timeout", sa.Double, nullable=False),
    sa.Column("resends", sa.Integer, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("since", UtcTime, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)
"""What is open: every wait of every saga, and when it has lasted too long. `version`: the transition that began it."""

saga_inbox = sa.Table(
    "saga_inbox",
    metadata,
    sa.Column("saga_id", name_of(ID), primary_key=True),
    sa.Column("id", name_of(NAME), primary_key=True),
    sa.Column("body", long_text(), nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("taken", sa.Boolean, nullable=False),
)
"""News left for a saga: events for its waits, wishes, and what its parent or a child tells. They stay when they are
`taken`, so that the same news are known when they come again."""

saga_pause = sa.Table(
    "saga_pause",
    metadata,
    sa.Column("kind", name_of(WORD), primary_key=True),
    sa.Column("name", name_of(NAME), primary_key=True),
    sa.Column("since", UtcTime, nullable=False),
    sa.Column("actor", name_of(NAME), nullable=False),
    sa.Column("reason", long_text(), nullable=False),
)
"""What is paused: sagas of a name, or messages to a task; `name` may be a pattern."""

saga_key = sa.Table(
    "saga_key",
    metadata,
    sa.Column("name", name_of(NAME), primary_key=True),
    sa.Column("key", name_of(NAME), primary_key=True),
    sa.Column("saga_id", name_of(ID), nullable=False),
    sa.Column("input_hash", name_of(HASH), nullable=False),
)
"""Which saga a key belongs to. The rows outlive their sagas, so a late retry of a start finds its key taken."""

saga_plan = sa.Table(
    "saga_plan",
    metadata,
    sa.Column("hash", name_of(HASH), primary_key=True),
    sa.Column("body", long_text(), nullable=False),
)
"""The graphs that sagas are pinned to."""

saga_tag = sa.Table(
    "saga_tag",
    metadata,
    sa.Column("saga_id", name_of(ID), primary_key=True),
    sa.Column("name", name_of(NAME), primary_key=True),
    sa.Column("value", name_of(NAME), nullable=False),
    sa.Index("saga_tag_by_value", "name", "value", "saga_id"),
)
"""Words to find a saga by."""

saga_dead_letter = sa.Table(
    "saga_dead_letter",
    metadata,
    *_slot(),
    sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False, server_default=sa.text("1")),
    sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False, server_default=sa.text("0")),
    sa.Column("reason", name_of(WORD), nullable=False),
    sa.Column("detail", long_text(), nullable=False),
    sa.Column("result", long_text()),
    sa.Column("since", UtcTime, nullable=False, index=True),
    sa.Column("place", sa.BigInteger, nullable=False),
)
"""What waits for an operator: at most one letter for each activity, of one generation or another, and one for each
generation or attempt that took effect too late. `place` keeps the letters of a saga in the order of their coming."""

saga_ticket = sa.Table(
    "saga_ticket",
    metadata,
    sa.Column("saga_id", name_of(ID), primary_key=True),
    sa.Column("name", name_of(NAME), nullable=False),
    sa.Column("lock", name_of(NAME)),
    sa.Column("max_running", sa.Integer),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("family", name_of(ID), nullable=False),
    sa.Column("refuse", sa.Boolean, nullable=False),
    sa.Column("since", UtcTime, nullable=False),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("admitted_at", UtcTime),
    sa.Index("saga_ticket_by_lock", "lock", "admitted_at"),
    sa.Index("saga_ticket_by_name", "name", "admitted_at"),
)
"""One row for each open saga that began, or will begin, on terms; `admitted_at` is NULL while it waits.

`place` keeps those that were started at once in their order.
"""

saga_gate = sa.Table("saga_gate", metadata, sa.Column("number", sa.Integer, primary_key=True, autoincrement=False))
"""Mutexes for those who decide who is let in."""

saga_worker = sa.Table(
    "saga_worker",
    metadata,
    sa.Column("id", name_of(WORKER), primary_key=True),
    sa.Column("beat_at", UtcTime, nullable=False),
    sa.Column("attempts", long_text(), nullable=False),
    sa.Column("swept_at", UtcTime),
)
"""One row for each worker process: its latest heartbeat, the attempts that it had in hand then, and when its sweeper
last finished a round; NULL where none runs."""

saga_stuck = sa.Table(
    "saga_stuck",
    metadata,
    sa.Column("saga_id", name_of(ID), primary_key=True),
    sa.Column("step", name_of(NAME), nullable=False),
    sa.Column("item", sa.Integer, nullable=False),
    sa.Column("direction", name_of(WORD), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("reason", name_of(WORD), nullable=False),
    sa.Column("since", UtcTime, nullable=False),
)
"""One row for each stuck saga that was told of, so that it is told once; a sweeper deletes it when the saga moves."""

saga_delivery = sa.Table(
    "saga_delivery",
    metadata,
    sa.Column("id", name_of(ID), primary_key=True),
    sa.Column("saga_id", name_of(ID), nullable=False),
    sa.Column("event", name_of(WORD), nullable=False),
    sa.Column("task", name_of(NAME), nullable=False),
    sa.Column("payload", long_text(), nullable=False),
    sa.Column("headers", long_text(), nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("since", UtcTime, nullable=False),
    sa.Column("due_at", UtcTime, index=True),
    sa.Index("saga_delivery_by_saga", "saga_id"),
)
"""What hooks have yet to be told; `id` is the event id. `due_at` is NULL once a delivery was given up."""

saga_payload = sa.Table(
    "saga_payload",
    metadata,
    sa.Column("saga_id", name_of(ID), primary_key=True),
    sa.Column("digest", name_of(HASH), primary_key=True),
    sa.Column("body", long_text(), nullable=False),
)
"""Values too large for the rows that refer to them by `digest`; written with them, deleted with their saga."""

saga_archive = sa.Table(
    "saga_archive",
    metadata,
    sa.Column("id", name_of(ID), primary_key=True),
    sa.Column("name", name_of(NAME), nullable=False),
    sa.Column("state", name_of(WORD), nullable=False),
    sa.Column("ended_at", UtcTime, nullable=False),
    sa.Column("root_id", name_of(ID)),
    sa.Column("document", long_bytes(), nullable=False),
    sa.Index("saga_archive_by_end", "name", "ended_at"),
    sa.Index("saga_archive_by_root", "root_id", **valued_only("root_id")),
)
"""One row for each saga that was archived: `document` holds its rows of all other tables. `root_id`: of a child, the
saga at the top of its family, with which it goes."""
