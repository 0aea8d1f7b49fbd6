"""The saga database behind the engine's port; every verb is carried out by one of the parts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

from saga_celery.core.plan import Plan
from saga_celery.core.states import SagaState, SagaStatus, Slot
from saga_celery.engine.payloads import Payload
from saga_celery.engine.ports import Change, Due, InboxNews, Living, Overdue, Running, Unanswered
from saga_celery.store.awaited import AwaitedRows
from saga_celery.store.callers_reads import CallersReads
from saga_celery.store.catching_up import CatchingUp
from saga_celery.store.clock import Clock, DatabaseClock, now
from saga_celery.store.connections import Connections
from saga_celery.store.deliveries import DeliveryRows
from saga_celery.store.ends import Ends, ends_of
from saga_celery.store.executors import ConnectionExecutor, Executor
from saga_celery.store.gates import Gates
from saga_celery.store.heartbeats import Heartbeats
from saga_celery.store.inbox import InboxRows, deliver
from saga_celery.store.metering import Metering
from saga_celery.store.open_sagas import OpenSagas
from saga_celery.store.pauses import Pauses
from saga_celery.store.payload_rows import PayloadRows
from saga_celery.store.plans import Plans
from saga_celery.store.portable import PortableTransitions
from saga_celery.store.postgres import PostgresTransitions
from saga_celery.store.postgres_starts import PostgresStarts
from saga_celery.store.queries import Queries
from saga_celery.store.queues import Queues
from saga_celery.store.recent import RecentStates
from saga_celery.store.retention import Retention
from saga_celery.store.rows import DONE
from saga_celery.store.starts import IfExists, Inserted, NewSaga, OwnStarts, insert
from saga_celery.store.stuck import StuckRows
from saga_celery.store.tallies import Tallies
from saga_celery.store.transitions import Transitions
from saga_celery.store.watch import Watch


class SQLStore:
    """Sagas in PostgreSQL, MariaDB or SQLite.

    Args:
        url: SQLAlchemy URL of the saga database.
        chance: draws a number between 0 and 1; spreads the retries of rivals.
        clock: whose time counts; the database's own, unless a test says otherwise.
        options: further arguments of `sqlalchemy.create_engine`, such as `pool_size`.
    """

    def __init__(
        self, url: str | URL, *, chance: Callable[[], float], clock: Clock | None = None, **options: Any
    ) -> None:
        self.connections = Connections(url, chance=chance, **options)
        self._clock = clock or DatabaseClock()
        self.watch = Watch(self._ask_time)
        self._recent = RecentStates()
        self._catching_up = CatchingUp(self.connections)
        self._plans = Plans(self.connections)
        self._awaited = AwaitedRows(self.connections, self._clock)
        self._inbox = InboxRows(self.connections)
        self._heartbeats = Heartbeats(self.connections, self._clock)
        self.pauses = Pauses(self.connections, self._clock, self._awaited)
        self._transitions = self._transitions_of(self.connections.dialect)
        self._starts = self._starts_of(self.connections.dialect)
        self.open_sagas = OpenSagas(self.connections)
        self.deliveries = DeliveryRows(self.connections, self._clock)
        self.stuck = StuckRows(self.connections, self._clock)
        self.gates = Gates(self.connections, self._clock)
        self.queues = Queues(self.connections, self._clock)
        self.payloads = PayloadRows(self.connections)
        self.retention = Retention(self.connections)
        self.metering = Metering(self.connections, self._clock)
        self.tallies = Tallies(self.connections)
        self.queries = Queries(self.connections, self._clock, self._transitions.load)

    def _transitions_of(self, dialect: str) -> Transitions:
        kind = PostgresTransitions if dialect == "postgresql" else PortableTransitions
        return kind(self.connections, self._clock)

    def _starts_of(self, dialect: str) -> OwnStarts | PostgresStarts:
        kind = PostgresStarts if dialect == "postgresql" else OwnStarts
        return kind(self.connections, self._clock)

    def _ask_time(self) -> datetime:
        if (fixed := self._clock.fixed()) is not None:
            return fixed

        def once() -> datetime:
            with self.connections.autocommit() as connection:
                found: datetime = connection.execute(sa.select(now(self._clock))).scalar_one()
            return found

        return self.connections.reconnected(once)

    def reads_through(self, executor: Executor) -> CallersReads:
        """What reads through a caller's transaction."""
        return CallersReads(executor, self._clock)

    def dispose(self) -> None:
        """Close this process's connections; those inherited by a fork are forgotten, not closed."""
        self.connections.dispose()

    @property
    def calls_ends(self) -> bool:
        """True where the transition that ends a saga calls it out by itself, to whoever has ears for it."""
        return self.connections.dialect == "postgresql"

    def ends(self) -> Ends:
        """Ears for one thread that waits for the ends of sagas; opens nothing yet."""
        return ends_of(self.connections)

    # ----------------------------------------------------------------------------------------------------- transitions

    def load(self, saga_id: str, *, fresh: bool = True) -> SagaState | None:
        """Read a saga; None when there is none of this id.

        Args:
            saga_id: the saga.
            fresh: False: a state that this process stored lately will do, though another process may have moved on.
        """
        found = None if fresh else self._recent.get(saga_id)
        return self._learnt(self._transitions.load(saga_id)) if found is None else found

    def load_with_inbox(self, saga_id: str, *, fresh: bool = True) -> tuple[SagaState | None, Sequence[InboxNews]]:
        """Read a saga as `load` does, and what `inbox` holds for it, by one statement.

        Args:
            saga_id: the saga.
            fresh: see `load`.
        """
        if not fresh and (known := self._recent.get(saga_id)) is not None:
            return known, self.inbox(saga_id)
        found, news = self._transitions.load_with_inbox(saga_id)
        return self._learnt(found), news

    def share(self, saga_ids: Iterable[str]) -> None:
        """Let this process's siblings know what it knows of sagas: one of them may get the message that goes out."""
        for saga_id in saga_ids:
            self._recent.share(saga_id)

    def keep_up(self, saga_id: str, version: int) -> None:
        """Read what came since, where the state that is known here is older than another process says.

        To decide on it would be in vain: it could not be stored.

        Args:
            saga_id: the saga.
            version: the least that it has by now.
        """
        known = self._recent.version_of(saga_id)
        if known is not None and known < version:
            self.catch_up(saga_id)

    def catch_up(self, saga_id: str) -> SagaState | None:
        """Read a saga that was overtaken: where a state of it is known here, only what came since."""
        known = self._recent.get(saga_id)
        found = self._catching_up.since(known) if known is not None else None
        return self.load(saga_id) if found is None else self._learnt(found)

    def _learnt(self, found: SagaState | None) -> SagaState | None:
        if found is not None and found.status in DONE:
            self._recent.drop(found.id)
        elif found is not None:
            self._recent.learn(found)
        return found

    def save(self, change: Change) -> bool:
        """Store a transition in one transaction, guarded by the version; False when another one came first."""
        saved = self._transitions.save(change)
        if saved and change.after.status not in DONE:
            self._recent.keep(change)
        elif saved:
            self._recent.drop(change.before.id)
        return saved

    def plan(self, plan_hash: str) -> Plan:
        """Read a pinned plan."""
        return self._plans.plan(plan_hash)

    # ---------------------------------------------------------------------------------------------------------- starts

    def start(
        self,
        sagas: Sequence[NewSaga],
        *,
        if_exists: IfExists = "return",
        nudge_after: float,
        connection: Connection | Executor | None = None,
        publishes_plans: bool = True,
    ) -> list[Inserted]:
        """Insert sagas, in a transaction of our own or in the caller's.

        Args:
            sagas: what to start.
            if_exists: what to do with a key that is taken.
            nudge_after: seconds after which the sweeper looks whether some coordinator took a saga up.
            connection: the caller's, with an open transaction; None: commit at once.
            publishes_plans: False: plans go along with their sagas, and none is taken for known.

        Raises:
            KeyConflict: the key belongs to a saga with another input.
            AlreadyStarted: `if_exists="raise"`, and the key is taken.
            RetryTransaction: the database gave the caller's transaction up.
            StoreUnavailable: the database does not answer.
        """
        plans = [new.plan for new in sagas]
        if publishes_plans:
            self._plans.publish(plans)
        missing = self._plans.missing(plans) if publishes_plans else list({plan.hash: plan for plan in plans}.values())

        if connection is not None:
            executor = ConnectionExecutor(connection) if isinstance(connection, Connection) else connection
            return insert(
                executor, sagas, clock=self._clock, if_exists=if_exists, nudge_after=nudge_after, plans=missing
            )
        answers = self._starts.start(sagas, if_exists=if_exists, nudge_after=nudge_after, plans=missing)
        if any(answer.created for answer in answers):
            self._plans.remember(new.plan for new, answer in zip(sagas, answers, strict=True) if answer.created)
        return answers

    # ----------------------------------------------------------------------------------------------------------- inbox

    def inbox(self, saga_id: str) -> Sequence[InboxNews]:
        """News that were left for a saga and that no transition has taken yet, the oldest first."""
        return self._inbox.untaken(saga_id)

    def post(
        self,
        news: InboxNews,
        *,
        names: Collection[str],
        nudge_after: float,
        connection: Connection | Executor | None = None,
        payloads: Sequence[Payload] = (),
    ) -> SagaStatus:
        """Leave news in the inbox of a saga that has not ended, in a transaction of our own or in the caller's.

        Args:
            news: what to leave; when it is there already, nothing is done.
            names: what the saga may be called.
            nudge_after: seconds after which the sweeper looks whether some coordinator took the news.
            connection: the caller's, with an open transaction; None: commit at once.
            payloads: what the news refer to.

        Returns:
            Where the saga stands.

        Raises:
            SagaNotFound: there is no such saga.
            Refused: it has ended.
            EventConflict: other news have the same id.
            RetryTransaction: the database gave the caller's transaction up.
            StoreUnavailable: the database does not answer.
        """

        def into(executor: Executor) -> SagaStatus:
            return deliver(executor, news, names=names, clock=self._clock, nudge_after=nudge_after, payloads=payloads)

        if connection is None:
            return self.connections.run(lambda own: into(ConnectionExecutor(own)))
        return into(ConnectionExecutor(connection) if isinstance(connection, Connection) else connection)

    # --------------------------------------------------------------------------------------------------------- awaited

    def overdue(self, limit: int, lease: float) -> Sequence[Overdue]:
        """Claim what is due: rows that nobody holds, each moved `lease` seconds on. Never waits for a lock."""
        return self._awaited.overdue(limit, lease)

    def postpone(self, row: Overdue, seconds: float, *, resent: bool = False, failed: bool = False) -> None:
        """Look at a row again later, unless it has changed since."""
        self._awaited.postpone(row, seconds, resent=resent, failed=failed)

    def hold(self, row: Overdue, seconds: float) -> None:
        """Look at a held row again later, unless it has changed since or was hastened: its pause may be over."""
        self._awaited.hold(row, seconds)

    def release(self, row: Overdue, due: Due) -> bool:
        """Turn a held row into the wait that follows its first dispatch; False when it is held no more."""
        return self._awaited.release(row, due)

    def sleep(self, row: Overdue) -> None:
        """Look at a row no more until its saga is resumed, unless it has changed, or the saga was resumed, since."""
        self._awaited.sleep(row)

    def extend(self, saga_id: str, slot: Slot, attempt: int, worker: str) -> bool:
        """Count an attempt's time from now, as its task gave a sign of life; False when it is not that worker's (any
        more)."""
        return self._awaited.extend(saga_id, slot, attempt, worker)

    def observe(self, row: Overdue, running: Running, seconds: float) -> None:
        """Note that an attempt was seen running, so that the row now awaits its end."""
        self._awaited.observe(row, running, seconds)

    def await_again(self, saga_id: str, slot: Slot, attempt: int, seconds: float) -> None:
        """Note that a task put itself back into the queue: it starts again within `seconds`."""
        self._awaited.await_again(saga_id, slot, attempt, seconds)

    def forget_nudge(self, saga_id: str, version: int) -> None:
        """Drop the awaited nudge, unless a transition after `version` asked for it."""
        self._awaited.forget_nudge(saga_id, version)

    def unanswered(self, saga_id: str) -> Unanswered:
        """Note that a coordinator without the saga's class took the awaited nudge; tell how long that has been so."""
        return self._awaited.unanswered(saga_id)

    def hasten(self, saga_id: str, slots: Sequence[Slot], seconds: float) -> None:
        """Make rows due in `seconds`: their message could not be sent, or their worker is known to be gone."""
        self._awaited.hasten(saga_id, slots, seconds)

    # ------------------------------------------------------------------------------------------------------ heartbeats

    def beat(self, worker: str, running: Sequence[Running], swept: float | None = None) -> None:
        """Write the heartbeat of a worker process.

        Args:
            worker: its identity.
            running: the attempts that it has in hand.
            swept: seconds since its sweeper finished a round; None: it has not, or none runs.
        """
        self._heartbeats.beat(worker, running, swept)

    def farewell(self, worker: str) -> None:
        """Note that a worker ends in good order."""
        self._heartbeats.farewell(worker)

    def living(self) -> Living:
        """The workers with a fresh heartbeat."""
        return self._heartbeats.living()
