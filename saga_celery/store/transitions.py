"""One transition: loaded, and stored as a whole or not at all.

The guard is the version of the saga's row. Whoever raises it first wins; everybody else loads again and decides anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import sqlalchemy as sa

from saga_celery.core.states import SagaState
from saga_celery.engine.ports import Change, InboxNews
from saga_celery.store.codec import facts_to_text
from saga_celery.store.connections import Connections
from saga_celery.store.schema import saga_history


class Transitions(Protocol):
    """Reads and writes transitions; each kind of database has its own way."""

    def load(self, saga_id: str) -> SagaState | None:
        """Read a saga as the last commit left it; None when there is none."""
        ...

    def load_with_inbox(self, saga_id: str) -> tuple[SagaState | None, Sequence[InboxNews]]:
        """Read a saga, and the news that no transition has taken yet, the oldest first, as of one moment."""
        ...

    def save(self, change: Change) -> bool:
        """Store a transition; False when another one came first."""
        ...


def stored(connections: Connections, once: Callable[[], bool], change: Change) -> bool:
    """Store a transition; False when another one came first.

    When the connection breaks, nobody knows whether it was committed. To repeat it is safe, as the version guards it;
    if the repetition finds the version raised, the history tells by whom.

    Args:
        connections: the database.
        once: stores it in one transaction; False when the guard found the version raised.
        change: the transition.
    """
    tries = 0

    def attempt() -> bool:
        nonlocal tries
        tries += 1
        return once() or (tries > 1 and _witnessed(connections, change))

    return connections.again(lambda: connections.reconnected(attempt))


def _witnessed(connections: Connections, change: Change) -> bool:
    with connections.autocommit() as connection:
        return _witness(connection, change)


def _witness(connection: sa.Connection, change: Change) -> bool:
    """Tell whether a transition whose answer was lost was stored after all.

    The history row of its version then holds the very same facts. Were they those of a rival who decided the same, both
    publish, which does no more harm than a message that is delivered twice.
    """
    found = connection.execute(
        sa.select(saga_history.c.facts).where(
            saga_history.c.saga_id == change.before.id, saga_history.c.version == change.before.version + 1
        )
    ).scalar_one_or_none()
    return found == facts_to_text(change.facts)
