"""Starts on PostgreSQL in transactions of our own: one statement for up to a thousand sagas, hence one round trip.

What stands in the statement depends only on whether any of the sagas has a key, a tag or a deadline; so there are few
texts, and the server plans each of them once for each connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

from saga_celery.core.plan import Plan
from saga_celery.core.states import SagaStatus, Slot
from saga_celery.engine.ports import DEADLINE_SLOT, NUDGE_SLOT, Awaited
from saga_celery.store.clock import Clock
from saga_celery.store.codec import dumps
from saga_celery.store.connections import Connections
from saga_celery.store.cursors import Cursor, ListenedCursor
from saga_celery.store.executors import ConnectionExecutor
from saga_celery.store.starts import IfExists, Inserted, NewSaga, OwnStarts, in_order, insert, saga_row

A_STATEMENT = 1000
"""Most sagas in one statement."""
LETTERS_A_STATEMENT = 4_000_000
"""Most characters of their inputs in one statement, unless a single one is longer."""

_RECORD = ("id", "name", "key", "plan_hash", "input", "headers", "parent", "parent_id", "timeout", "priority")
_ASKED = """
WITH moment AS (
  SELECT coalesce(%(now)s::timestamptz, clock_timestamp()) AS now
), asked AS MATERIALIZED (
  SELECT s.*, now FROM moment, json_to_recordset(%(sagas)s::json)
    AS s (id varchar, name varchar, key varchar, input_hash varchar, plan_hash varchar, input text, headers text,
      parent text, parent_id varchar, timeout double precision, priority integer, tags json)
)"""
_TAKEN = """, taken AS (
  INSERT INTO saga_key (name, key, saga_id, input_hash)
  SELECT name, key, id, input_hash FROM asked WHERE key IS NOT NULL
  ON CONFLICT DO NOTHING RETURNING saga_id
), new AS (
  SELECT * FROM asked WHERE key IS NULL OR id IN (SELECT saga_id FROM taken)
)"""
_STORED = f""", stored AS (
  INSERT INTO saga (id, name, key, state, version, plan_hash, input, suspended, overdue, headers, parent, parent_id,
    created_at, updated_at, deadline_at, priority)
  SELECT id, name, key, '{SagaStatus.PENDING.value}', 0, plan_hash, input, false, false, headers, parent, parent_id,
    now, now, now + make_interval(secs => timeout), priority
  FROM new
)"""  # noqa: S608 - the name of a state
_TAGGED = """, tagged AS (
  INSERT INTO saga_tag (saga_id, name, value)
  SELECT new.id, t.key, t.value FROM new, json_each_text(new.tags) AS t
)"""


def _wait(slot: Slot, awaited: Awaited, seconds: str) -> str:
    return f"""
  INSERT INTO saga_awaited (saga_id, step, item, direction, generation, awaited, due_at, attempt, epoch, worker,
    timeout, resends, failures, since, version)
  SELECT id, '{slot.step}', {slot.item}, '{slot.direction.value}', {slot.generation}, '{awaited.value}',
    now + make_interval(secs => {seconds}), 0, 0, '', 0, 0, 0, now, 0
  FROM new"""  # noqa: S608 - words of the library's own


_TIMED = f", timed AS ({_wait(DEADLINE_SLOT, Awaited.DEADLINE, 'timeout')} WHERE timeout IS NOT NULL\n)"
_NUDGED = f", nudged AS ({_wait(NUDGE_SLOT, Awaited.NUDGE, '%(nudge_after)s::double precision')}\n)"


@cache
def start_statement(*, keyed: bool, tagged: bool, timed: bool) -> str:
    """Inserts sagas; answers the ids of those that took their key. Those whose key is taken already are left out."""
    taken = _TAKEN if keyed else ", new AS (SELECT * FROM asked)"
    found = "SELECT saga_id FROM taken" if keyed else "SELECT NULL::varchar WHERE false"
    return "".join((_ASKED, taken, _STORED, _TAGGED if tagged else "", _TIMED if timed else "", _NUDGED, "\n", found))


class PostgresStarts:
    """Starts sagas.

    Args:
        connections: the database.
        clock: whose time counts.
    """

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock
        self._others = OwnStarts(connections, clock)

    def start(
        self, sagas: Sequence[NewSaga], *, if_exists: IfExists, nudge_after: float, plans: Sequence[Plan]
    ) -> list[Inserted]:
        """Insert sagas and commit: all of them, or none."""
        if plans or not all(new.is_plain for new in sagas):
            return self._others.start(sagas, if_exists=if_exists, nudge_after=nudge_after, plans=plans)
        parts = list(_parts(in_order(sagas)))
        if len(parts) != 1 or (len(sagas) > 1 and any(new.key is not None for new in sagas)):
            return self._connections.run(lambda own: self._all(own, sagas, parts, if_exists, nudge_after))
        if self._connections.again(lambda: self._at_once(parts[0], nudge_after)):
            return [Inserted(id=new.id, created=True) for new in sagas]
        return self._others.start(sagas, if_exists=if_exists, nudge_after=nudge_after, plans=plans)

    def _at_once(self, sagas: Sequence[NewSaga], nudge_after: float) -> bool:
        """By a statement that commits by itself; False: there is but one saga, and its key is taken."""
        with self._connections.cursor() as cursor:
            return not self._insert(cursor, sagas, nudge_after)

    def _all(
        self,
        connection: sa.Connection,
        sagas: Sequence[NewSaga],
        parts: Sequence[Sequence[NewSaga]],
        if_exists: IfExists,
        nudge_after: float,
    ) -> list[Inserted]:
        cursor = ListenedCursor(connection)
        left = [new for part in parts for new in self._insert(cursor, part, nudge_after)]
        answers = insert(
            ConnectionExecutor(connection), left, clock=self._clock, if_exists=if_exists, nudge_after=nudge_after
        )
        others = {new.id: answer for new, answer in zip(left, answers, strict=True)}
        return [others.get(new.id) or Inserted(id=new.id, created=True) for new in sagas]

    def _insert(self, cursor: Cursor, sagas: Sequence[NewSaga], nudge_after: float) -> list[NewSaga]:
        """Insert sagas, but for those whose key is taken, which are returned."""
        fixed = self._clock.fixed()
        keyed = [new for new in sagas if new.key is not None]
        statement = start_statement(
            keyed=bool(keyed),
            tagged=any(new.tags for new in sagas),
            timed=any(new.timeout is not None for new in sagas),
        )
        parameters = {
            "sagas": dumps([_record(new) for new in sagas]),
            "nudge_after": nudge_after,
            "now": fixed.isoformat() if fixed else None,
        }
        cursor.execute(statement, parameters)
        taken = {saga_id for (saga_id,) in cursor.fetchall()}
        return [new for new in keyed if new.id not in taken]


def _record(new: NewSaga) -> dict[str, Any]:
    row = saga_row(new)
    more = {"tags": new.tags, "input_hash": new.input_hash if new.key is not None else None}
    return {name: row.get(name) for name in _RECORD} | more


def _parts(sagas: Sequence[NewSaga]) -> Iterator[list[NewSaga]]:
    """As many at a time as fit into one statement."""
    part, letters = list[NewSaga](), 0
    for new in sagas:
        size = len(new.input_text or "")
        if part and (len(part) == A_STATEMENT or letters + size > LETTERS_A_STATEMENT):
            yield part
            part, letters = [], 0
        part.append(new)
        letters += size
    if part:
        yield part
