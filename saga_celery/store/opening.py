"""How a wait begins: the columns of its row that are the same for every wait."""

from __future__ import annotations

import sqlalchemy as sa

from saga_celery.store.clock import Clock, after, now
from saga_celery.store.rows import Row


def opened(clock: Clock) -> Row:
    """The columns of a new wait that are not in `awaited_row`; its `seconds` become a time."""
    return {
        "due_at": after(clock, sa.bindparam("seconds", type_=sa.Double())),
        "since": now(clock),
        "resends": 0,
        "failures": 0,
    }
