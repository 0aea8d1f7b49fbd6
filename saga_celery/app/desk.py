"""The desk: starts, looks up and operates sagas on behalf of their classes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection

from saga_celery.app.chance import new_id
from saga_celery.app.framework import current_framework
from saga_celery.app.operating import check_result, check_undo_window, with_plain_values
from saga_celery.app.transaction import Transaction, transaction_of
from saga_celery.app.waiting_room import WaitingRoom
from saga_celery.core.events import EventSent, OperatorAsked
from saga_celery.core.machine import NotAllowed, Outdated
from saga_celery.core.moves import next_moves
from saga_celery.core.states import SagaStatus
from saga_celery.definition.commands import is_open
from saga_celery.definition.desk import HistoryEntry, IfExists, Snapshot, Started, StartRequest
from saga_celery.engine.payloads import Packer, Payload
from saga_celery.engine.ports import InboxNews
from saga_celery.errors import (
    InputRejected,
    NotConfigured,
    PublishFailed,
    Refused,
    SagaNotFound,
    SagaUnfinished,
    StaleVersion,
)
from saga_celery.settings import Settings
from saga_celery.store import views
from saga_celery.store.callers_reads import Reads
from saga_celery.store.executors import Executor
from saga_celery.store.starts import Inserted, NewSaga, fingerprint_of
from saga_celery.transport.context import headers_to_store

if TYPE_CHECKING:
    from saga_celery.app.saga_app import SagaApp

logger = logging.getLogger("saga_celery")

T = TypeVar("T")


class AppDesk:
    """Meets `saga_celery.definition.desk.Desk` with the parts of an app.

    Args:
        app: the composed parts.
    """

    def __init__(self, app: SagaApp) -> None:
        self._app = app
        self._room = WaitingRoom(self._statuses, app.ends)

    @property
    def app(self) -> SagaApp:
        """Whose desk it is."""
        return self._app

    @property
    def settings(self) -> Settings:
        """The checked configuration."""
        return self._app.settings

    # ----------------------------------------------------------------------------------------------------------- start

    def start(
        self, requests: Sequence[StartRequest], *, if_exists: IfExists, session: Any | None, connection: Any | None
    ) -> list[Started]:
        """Store sagas, and nudge the coordinator once they are committed.

        In the caller's own transaction on a bare connection nobody tells us of the commit; there the sweeper finds
        them.

        Raises:
            KeyConflict: a key belongs to a saga with another input.
            AlreadyStarted: a key is taken, and `if_exists` is "raise".
            Locked: a lock is held by another saga that was not to be waited for.
            NotConfigured: tasks are eager, or there is no saga database.
            StoreError: the database failed.
        """
        self._refuse_eager()
        transaction = self._transaction(session, connection)
        packer = self._app.payloads.packer()
        sagas = [self._new_saga(request, packer) for request in requests]
        inserted = self._stored(
            transaction,
            lambda target: self._app.store.start(
                sagas,
                if_exists=if_exists,
                nudge_after=transaction.nudge_after,
                connection=target,
                publishes_plans=transaction.publishes_plans,
            ),
        )
        begin = _to_nudge(sagas, inserted)
        transaction.after_commit(lambda: self._begin(begin))
        return [Started(id=each.id, created=each.created) for each in inserted]

    def _transaction(self, session: Any | None, connection: Any | None) -> Transaction:
        """The caller's, whether named or that of the framework around; else one of the store's own."""
        framework, database = current_framework(), self._app.framework_database
        if framework is not None and framework.owns(connection):
            if database is None:
                raise InputRejected(
                    f"connection={connection!r} is the framework's, and saga_database_url names another database: "
                    "leave that setting out, so that the sagas are kept in a database of the framework's"
                )
            return database.transaction(connection)
        if session is None and connection is None and database is not None:
            return database.transaction()
        return transaction_of(session=session, connection=connection)

    def _stored(self, transaction: Transaction, store: Callable[[Connection | Executor | None], T]) -> T:
        """Store something, in tables that fit; through the framework's connection nothing else is asked of any."""

        def work() -> T:
            target = transaction.target
            self._app.check_schema(target if isinstance(target, Executor) else None)
            return store(target)

        return transaction.run(work)

    def joins(self, session: Any | None, connection: Any | None) -> bool:
        """Tell whether the caller has a transaction open that what is asked now would be part of."""
        if session is not None or connection is not None:
            return True
        database = self._app.framework_database
        return database is not None and database.in_transaction

    def _refuse_eager(self) -> None:
        if self._app.celery.conf.task_always_eager:
            raise NotConfigured(
                "task_always_eager is set, and a saga can not run inside the call that starts it; in tests use "
                "`saga_celery.testing.run_inline(YourSaga, input)`, which needs no broker and no worker"
            )

    def _new_saga(self, request: StartRequest, packer: Packer | None) -> NewSaga:
        saga_id, name = new_id(), request.plan.saga
        return NewSaga(
            id=saga_id,
            name=name,
            plan=request.plan,
            **_input(saga_id, request.input, packer),
            key=request.key,
            tags=request.tags,
            headers=headers_to_store(self._app.celery, self.settings, name, request.headers),
            timeout=request.timeout,
            priority=request.priority,
            terms=request.terms,
        )

    def _begin(self, sagas: Sequence[NewSaga]) -> None:
        by_priority: dict[int | None, list[str]] = {}
        for new in sagas:
            by_priority.setdefault(new.priority, []).append(new.id)
        for priority, saga_ids in by_priority.items():
            self._nudge(saga_ids, priority)

    def _nudge(self, saga_ids: Sequence[str], priority: int | None = None) -> None:
        """The row is the promise and the nudge only a hint, so its failure is nobody's business but the log's."""
        try:
            self._app.transport.nudge(saga_ids, priority)
        except PublishFailed as failure:
            logger.warning("%d sagas are stored, but the broker took no nudge (%s)", len(saga_ids), failure)

    # ----------------------------------------------------------------------------------------------------------- inbox

    def post(
        self,
        saga_id: str,
        news: EventSent | OperatorAsked,
        *,
        names: Collection[str],
        session: Any | None,
        connection: Any | None,
    ) -> SagaStatus:
        """Leave news in the inbox of a saga, and nudge the coordinator once they are committed.

        Raises:
            SagaNotFound: there is no such saga of these names.
            Refused: the saga has ended, or no reason is given.
            EventConflict: another event has the same id.
            StoreError: the database failed.
        """
        self._refuse_eager()
        if isinstance(news, OperatorAsked):
            _check_reason(news)
        transaction = self._transaction(session, connection)
        post, payloads = _addressed(saga_id, news, self._app.payloads.packer())
        state = self._stored(
            transaction,
            lambda target: self._app.store.post(
                post,
                names=names,
                nudge_after=transaction.nudge_after,
                connection=target,
                payloads=payloads,
            ),
        )
        transaction.after_commit(lambda: self._nudge([saga_id]))
        return state

    # ------------------------------------------------------------------------------------------------------------ read

    def snapshot(self, saga_id_or_key: str, name: str | None = None) -> Snapshot:
        """Read a saga by its id; with `name`, also by its key.

        Raises:
            SagaNotFound: there is none.
        """
        reads = self._reads()
        queries = reads.queries
        try:
            return _standing(self._snapshot(queries.snapshot(saga_id_or_key)), reads)
        except SagaNotFound:
            if name is None:
                raise
        return _standing(self._snapshot(queries.snapshot(queries.id_of(name, saga_id_or_key))), reads)

    def _snapshot(self, found: views.Snapshot) -> Snapshot:
        """The plan is needed only to say what a person can do."""
        if not found.state.letters:
            return _snapshot(found)
        plan, state = self._app.store.plan(found.state.plan_hash), found.state
        return replace(_snapshot(found), moves=tuple(next_moves(plan, state, letter) for letter in state.letters))

    def _reads(self) -> Reads:
        """Through the transaction that the caller has open with the framework around; else on the store's own."""
        database = self._app.framework_database
        if database is None or not database.in_transaction:
            self._app.check_schema()
            return self._app.store
        target = database.transaction().target
        assert isinstance(target, Executor)  # noqa: S101 - no framework has connections of the store's kind
        self._app.check_schema(target)
        return self._app.store.reads_through(target)

    def opened(self, saga_id: str, value: Any) -> Any:
        """The value that a packed one stands for.

        Raises:
            PayloadUnreadable: it is gone, or no codec of this process opens it.
            StoreUnavailable: the payload store does not answer.
        """
        return self._app.payloads.opened(saga_id, value)

    def history(self, saga_id: str) -> list[HistoryEntry]:
        """Every transition of a saga.

        Raises:
            SagaNotFound: there is none.
        """
        entries = self._reads().queries.history(saga_id)
        if not entries:
            self.snapshot(saga_id)
        return [HistoryEntry(version=entry.version, at=entry.at, facts=entry.facts) for entry in entries]

    # ------------------------------------------------------------------------------------------------------------ wait

    def wait(self, saga_id: str, timeout: float | None) -> SagaStatus:
        """Wait until the saga has ended or the time is over.

        Raises:
            SagaUnfinished: the saga is not committed yet.
        """
        status = self._status(saga_id)
        if status.ended or (timeout is not None and timeout <= 0):
            return status
        future = self._room.enter(saga_id)
        try:
            return _committed(saga_id, future.result(timeout))
        except TimeoutError:
            return self._status(saga_id)
        finally:
            future.cancel()

    async def wait_async(self, saga_id: str, timeout: float | None) -> SagaStatus:
        """Wait without blocking the event loop; takes no thread for each who waits.

        Raises:
            SagaUnfinished: the saga is not committed yet.
        """
        future = asyncio.wrap_future(self._room.enter(saga_id))
        try:
            async with asyncio.timeout(timeout):
                return _committed(saga_id, await future)
        except TimeoutError:
            return await asyncio.to_thread(self._status, saga_id)

    def close(self) -> None:
        """Let go of what waiting has opened, as soon as nobody waits."""
        self._room.close()

    def _status(self, saga_id: str) -> SagaStatus:
        return _committed(saga_id, self._statuses([saga_id]).get(saga_id))

    def _statuses(self, saga_ids: Collection[str]) -> Mapping[str, SagaStatus]:
        self._app.check_schema()
        return self._app.store.queries.statuses(saga_ids)

    # --------------------------------------------------------------------------------------------------------- operate

    def operate(self, saga_id: str, asked: OperatorAsked) -> SagaStatus:
        """Carry out an operator's verb.

        Raises:
            Refused: the saga's state does not allow it.
            StaleVersion: the saga has moved since the version that was asked of.
            InputRejected: the arguments or the result are no plain JSON, too large, or not of the type that is needed.
            SagaNotFound: there is no such saga.
        """
        self._app.check_schema()
        _check_reason(asked)
        asked = with_plain_values(asked, self.settings.payload_limit)
        check_result(self._app.store, saga_id, asked)
        check_undo_window(self._app.store.queries, saga_id, asked)
        try:
            handled = self._app.operator().handle(saga_id, asked)
        except Outdated as sentence:
            raise StaleVersion(f"{asked.verb.value} saga {saga_id}: {sentence}") from None
        except NotAllowed as sentence:
            raise Refused(f"{asked.verb.value} saga {saga_id}: {sentence}") from None
        if handled is None:
            self._refuse_archived(saga_id, asked)
            raise SagaNotFound(f"no saga has the id {saga_id!r}")
        return handled.state.status

    def _refuse_archived(self, saga_id: str, asked: OperatorAsked) -> None:
        status = self._app.store.queries.statuses([saga_id]).get(saga_id)
        if status is not None:
            raise Refused(f"{asked.verb.value} saga {saga_id}: it is {status.value} and in the archive, where it stays")


def _check_reason(asked: OperatorAsked) -> None:
    if is_open(asked.reason):
        raise Refused(f"{asked.verb.value}: say why, the reason is kept in the saga's history")


def _addressed(
    saga_id: str, news: EventSent | OperatorAsked, packer: Packer | None
) -> tuple[InboxNews, tuple[Payload, ...]]:
    """News under their id, and what they refer to; an event that was given no id gets one of its own."""
    if not isinstance(news, EventSent):
        return InboxNews(saga_id=saga_id, id=new_id(), news=news), ()
    news = replace(news, event_id=news.event_id or new_id())
    if packer is None:
        return InboxNews(saga_id=saga_id, id=news.event_id, news=news), ()
    packed, fingerprint = packer.news(saga_id, news), fingerprint_of(news.payload)
    return InboxNews(saga_id=saga_id, id=news.event_id, news=packed, fingerprint=fingerprint), packer.taken()


def _input(saga_id: str, data: Any, packer: Packer | None) -> dict[str, Any]:
    if packer is None:
        return {"input": data}
    packer.forget()
    return {"input": packer.value(saga_id, data), "payloads": packer.taken(), "fingerprint": fingerprint_of(data)}


def _committed(saga_id: str, status: SagaStatus | None) -> SagaStatus:
    if status is None:
        raise SagaUnfinished(
            f"saga {saga_id} is not in the database: it is not committed yet (commit first, then wait), or it ended "
            "long ago and was deleted"
        )
    return status


def _to_nudge(sagas: Sequence[NewSaga], inserted: Sequence[Inserted]) -> list[NewSaga]:
    """Those that are new and may begin; the sweeper wakes the others when their time has come."""
    return [new for new, each in zip(sagas, inserted, strict=True) if each.created and not new.terms.scheduled]


def _standing(found: Snapshot, reads: Reads) -> Snapshot:
    """What it waits for, where it has not begun."""
    if found.state is not SagaStatus.PENDING:
        return found
    return replace(found, standing=reads.queues.standings([found.id]).get(found.id))


def _snapshot(found: views.Snapshot) -> Snapshot:
    state = found.state
    return Snapshot(
        id=state.id,
        name=state.name,
        state=state.status,
        key=found.saga.key,
        input=state.input,
        result=state.result,
        turn=state.turn,
        failure=state.turn.failure if state.turn else None,
        letters=state.letters,
        steps=state.steps,
        tags=found.tags,
        suspended=state.suspended,
        overdue=state.overdue,
        version=state.version,
        lock=found.saga.lock,
        parent=state.parent,
        archived=found.saga.archived,
    )
