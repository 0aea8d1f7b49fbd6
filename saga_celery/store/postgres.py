"""Transitions on PostgreSQL: one statement each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from saga_celery.core.states import SagaState
from saga_celery.engine.ports import Change, InboxNews
from saga_celery.store.clock import Clock
from saga_celery.store.connections import Connections
from saga_celery.store.cursors import Cursor, ListenedCursor
from saga_celery.store.inbox import news_from
from saga_celery.store.one_statement import statement_of
from saga_celery.store.others import touches_others, write_others
from saga_celery.store.rows import SAGA_COLUMNS, letter_from, state_from, step_from
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

        statement, parameters = statement_of(change, self._clock.fixed())

        def once() -> bool:
            with self._connections.cursor() as cursor:
                return _moved(cursor, statement, parameters)

        def once_with_others() -> bool:
            with self._connections.transaction() as connection:
                saved = _moved(ListenedCursor(connection), statement, parameters)
                if saved:
                    write_others(connection, change, self._clock)
                return saved

        return stored(self._connections, once_with_others if touches_others(change) else once, change)

    def _read(self, statement: str, saga_id: str) -> Sequence[Any] | None:
        with self._connections.cursor() as cursor:
            cursor.execute(statement, {"id": saga_id})
            return next(iter(cursor.fetchall()), None)


def _moved(cursor: Cursor, statement: str, parameters: Mapping[str, Any]) -> bool:
    cursor.execute(statement, parameters)
    ((moved,),) = cursor.fetchall()
    return bool(moved)


def _state(row: Sequence[Any]) -> SagaState:
    *saga, steps, letters = row
    return state_from(saga, map(step_from, _array(steps)), map(letter_from, _array(letters)))


def _array(text: str | None) -> list[Any]:
    """`json_agg` of nothing is NULL."""
    found: list[Any] = json.loads(text) if text else []
    return found
