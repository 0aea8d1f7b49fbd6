"""Whose transaction a saga, or news for one, is stored in: the caller's, or one of ours.

What is done after the commit is a hint: were it lost, the sweeper would find the rows. So nothing here may ever harm
the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, scoped_session

from saga_celery.errors import InputRejected
from saga_celery.store.executors import Executor

T = TypeVar("T")

NUDGED_GRACE = 10.0
"""Seconds until the sweeper looks after a saga whose nudge we send ourselves."""

_PENDING = "saga_celery_after_commit"


class Transaction(Protocol):
    """Where rows go, and what their commit brings about."""

    @property
    def target(self) -> Connection | Executor | None:
        """What the statements are run on; None: a transaction of the store's own, committed at once."""
        ...

    @property
    def nudge_after(self) -> float:
        """Seconds until the sweeper looks after the rows."""
        ...

    @property
    def publishes_plans(self) -> bool:
        """Whether the plans of new sagas may be committed ahead, on a connection of the store's own."""
        ...

    def run(self, work: Callable[[], T]) -> T:
        """Do what stores the rows; all of it, or nothing."""
        ...

    def after_commit(self, then: Callable[[], None]) -> None:
        """Call `then`, which must not raise, once the rows are committed; forget it where they are rolled back."""
        ...


def transaction_of(*, session: Any | None, connection: Any | None) -> Transaction:
    """The transaction that a caller has named.

    Args:
        session: a SQLAlchemy session, also one that is kept for each thread.
        connection: a SQLAlchemy connection.

    Raises:
        InputRejected: what is given is something else.
    """
    if connection is not None:
        _check(connection, Connection, "connection")
        return OnConnection(connection)
    if session is not None:
        _check(session, Session | scoped_session, "session")
        return InSession(session() if isinstance(session, scoped_session) else session)
    return CommittedAtOnce()


class CommittedAtOnce:
    """A transaction of the store's own."""

    target = None
    nudge_after = NUDGED_GRACE
    publishes_plans = True

    def run(self, work: Callable[[], T]) -> T:
        """The store itself begins and commits."""
        return work()

    def after_commit(self, then: Callable[[], None]) -> None:
        """At once: the store has committed when it returns."""
        then()


class OnConnection:
    """The caller's transaction on a bare connection, of whose commit nobody tells us: the sweeper finds the rows.

    Args:
        target: the connection.
    """

    nudge_after = 0.0
    publishes_plans = True

    def __init__(self, target: Connection) -> None:
        self.target = target

    def run(self, work: Callable[[], T]) -> T:
        """The caller rolls back what failed."""
        return work()

    def after_commit(self, then: Callable[[], None]) -> None:
        """Never."""


class InSession:
    """The caller's transaction in a session.

    Args:
        session: the session.
    """

    nudge_after = NUDGED_GRACE
    publishes_plans = True

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(self, work: Callable[[], T]) -> T:
        """The caller rolls back what failed."""
        return work()

    @property
    def target(self) -> Connection:
        """The session's connection; begins its transaction where none is open."""
        return self._session.connection()

    def after_commit(self, then: Callable[[], None]) -> None:
        """After the commit of the outermost transaction.

        Also for what a savepoint has rolled back while the transaction went on: nobody minds a nudge for a saga that is
        not there.
        """
        session = self._session
        pending = session.info.get(_PENDING)
        if pending is None:
            pending = session.info[_PENDING] = []
            event.listen(session, "after_commit", _committed)
            event.listen(session, "after_soft_rollback", _rolled_back)
        pending.append(then)


def _committed(session: Session) -> None:
    if session.in_nested_transaction():
        return  # SQLAlchemy tells of released savepoints, too
    pending, session.info[_PENDING] = session.info.get(_PENDING) or [], []
    for then in pending:
        then()


def _rolled_back(session: Session, previous: Any) -> None:
    if previous.parent is None:
        session.info[_PENDING] = []


def _check(given: object, kind: Any, name: str) -> None:
    if not isinstance(given, kind):
        wanted = "Session" if name == "session" else "Connection"
        of_async = "of an AsyncSession: `await session.run_sync(lambda s: YourSaga.start(…, session=s))`"
        raise InputRejected(f"{name}={given!r}; pass a SQLAlchemy {wanted}; {of_async}")
