"""The barrier's one table. It lives in the participant's own database, so it has a MetaData of its own.

For Alembic, `target_metadata = [YourBase.metadata, barrier_metadata]`.
"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from saga_celery.store.clock import db_after, db_now
from saga_celery.store.columns import WORD, UtcTime, long_text, name_of

barrier_metadata = sa.MetaData()

SAGA_ID = 64
"""Letters of the id of a saga, the longest that a message may carry."""
STEP = 200
"""Letters of the name of a step."""


class SlotState(StrEnum):
    """What became of a slot."""

    OPEN = "open"
    """Taken by a transaction that still runs; never committed."""
    DONE = "done"
    FAILED = "failed"
    BARRED = "barred"
    """Taken so that the action can not take it any more."""


saga_barrier = sa.Table(
    "saga_barrier",
    barrier_metadata,
    sa.Column("saga_id", name_of(SAGA_ID), primary_key=True),
    sa.Column("step", name_of(STEP), primary_key=True),
    sa.Column("item", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("direction", name_of(WORD), primary_key=True),
    sa.Column("state", name_of(WORD), nullable=False),
    sa.Column("barred_attempts", sa.Integer),
    sa.Column("result", long_text()),
    sa.Column("failure", long_text()),
    sa.Column("created_at", UtcTime, nullable=False, index=True),
    sa.Column("not_after", UtcTime),
)
"""One row for each slot. `barred_attempts`: the last attempt that a bar keeps out; NULL keeps out all of them."""

PURGED = {"saga_id": "", "step": "", "item": 0, "generation": 0, "direction": "purged"}
"""Address of the row whose `created_at` tells up to when rows were purged."""


def create_barrier_table(bind: Engine | Connection) -> None:
    """Create the table where it does not exist; any number of processes may do so at once.

    Args:
        bind: the participant's database. A connection's transaction is left to its owner.
    """
    try:
        barrier_metadata.create_all(bind)
    except sa.exc.DBAPIError:
        if isinstance(bind, Connection):
            raise
        barrier_metadata.create_all(bind)  # another process was faster; this one now finds its table


def purge_barrier(bind: Engine | Connection, older_than: timedelta) -> int:
    """Forget slots that no message can come for any more; return how many.

    Safe when `older_than` is longer than messages of a saga can be under way: a copy that comes after `not_after` is
    refused, one without `not_after` would run again. A compensation that comes after the purge is not taken for an
    empty one: it raises `SlotForgotten`.

    Args:
        bind: the participant's database. A connection's transaction is left to its owner.
        older_than: the least age of what is forgotten, by the database's clock.
    """
    with bind.begin() if isinstance(bind, Engine) else nullcontext(bind) as connection:
        cutoff = connection.scalar(
            sa.select(db_after(db_now(), sa.bindparam(None, -older_than.total_seconds(), sa.Double())))
        )
        row, address = saga_barrier.c, [saga_barrier.c[name] == value for name, value in PURGED.items()]
        moved = connection.execute(sa.update(saga_barrier).where(*address).values(created_at=cutoff))
        if not moved.rowcount:
            connection.execute(sa.insert(saga_barrier).values(**PURGED, state=SlotState.DONE.value, created_at=cutoff))
        due = [row.saga_id != "", row.created_at < cutoff, sa.or_(row.not_after.is_(None), row.not_after < db_now())]
        return connection.execute(sa.delete(saga_barrier).where(*due)).rowcount
