"""From a state that is known to the one of now by what happened in between, however many steps the saga has.

A saga's history is complete, and a state is nothing but its sum. So whoever was overtaken reads what the others did,
and not thousands of items of a list that nobody touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import sqlalchemy as sa

from saga_celery.core.copies import replace
from saga_celery.core.evolve import evolve
from saga_celery.core.states import SagaState
from saga_celery.store.codec import fact_from_json, loads
from saga_celery.store.connections import Connections
from saga_celery.store.schema import saga, saga_history

MOST_BEHIND = 200
"""Transitions that are made up for; one that is further behind is read anew."""


def _since() -> sa.Select[Any]:
    later = sa.and_(saga_history.c.saga_id == saga.c.id, saga_history.c.version > sa.bindparam("known"))
    return (
        sa.select(saga.c.version, saga_history.c.version, saga_history.c.facts)
        .select_from(saga.outerjoin(saga_history, later))
        .where(saga.c.id == sa.bindparam("saga_id"))
        .order_by(saga_history.c.version)
        .limit(MOST_BEHIND + 1)
    )


SINCE = _since()


class CatchingUp:
    """Reads what came after a state.

    Args:
        connections: the database.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def since(self, known: SagaState) -> SagaState | None:
        """The state as the last commit left it, or None where it has to be read as a whole.

        Args:
            known: the state after some earlier transition.
        """
        rows = self._connections.reconnected(lambda: self._read(known))
        if not rows or rows[0][0] < known.version:
            return None  # it was pruned, or the database was set back
        if rows[0][0] == known.version:
            return known
        if len(rows) != rows[0][0] - known.version:
            return None
        try:
            facts = [fact_from_json(plain) for row in rows for plain in loads(row[2])]
        except KeyError:
            return None  # a later release knows facts that this one does not
        return replace(reduce(evolve, facts, known), version=rows[0][0])

    def _read(self, known: SagaState) -> Sequence[Any]:
        with self._connections.autocommit() as connection:
            return connection.execute(SINCE, {"saga_id": known.id, "known": known.version}).all()
