"""`barrier(session)`: makes what a step writes into its own database happen once, however often its message comes.

    barrier(session).run(book, order)          # takes the slot, runs book(order), commits both

    @app.task
    @barrier(Session)                          # the body gets a session as its first argument; the caller does not
    def book(session, order): ...

    with barrier(session) as once:             # conflicts are left to the saga's retry: a block can not be run again
        if once.done:
            return once.result
        return once.store(book(order))

It owns the transaction from begin to commit. Outside a saga's delivery the work simply runs once and is committed.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, TypeAlias, TypeVar, cast, overload

import celery
from celery.utils.time import get_exponential_backoff_interval
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session, scoped_session

from saga_celery.core.events import AttemptFailed
from saga_celery.core.states import Direction
from saga_celery.engine.failures import failure_of
from saga_celery.errors import BarrierMisused, ResultRejected
from saga_celery.settings import Settings
from saga_celery.store.barrier import crossings
from saga_celery.store.barrier.connection import BarrierConnection, SQLAlchemyConnection
from saga_celery.store.barrier.django import DjangoConnection
from saga_celery.store.barrier.passage import Passage
from saga_celery.store.django import DjangoDatabase, is_django
from saga_celery.transport import wire
from saga_celery.transport.attempt_end import on_failure
from saga_celery.transport.payload import Unstorable, plain

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", Session, Connection)
Target: TypeAlias = Session | Connection | DjangoDatabase

Fatal = type[BaseException] | str
"""An exception type, or the name of one as in a step's `fatal=`."""


class _Current:
    """Stands for the delivery that this process is working on."""


CURRENT = _Current()
_DEFAULTS = Settings()


class Barrier(Generic[S]):
    """What `barrier()` returns; see the module for its three forms."""

    def __init__(
        self,
        target: S | scoped_session[Any] | Callable[[], S],
        delivery: wire.Delivery | Passage | _Current | None,
        fatal: tuple[Fatal, ...],
    ) -> None:
        self._target: Any = target
        self._delivery = delivery
        self._fatal = frozenset(name for each in fatal for name in _names(each))
        self._block: Once | None = None
        self._exits = ExitStack()

    def run(self, work: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run `work` once, in the same transaction as its record, and commit; a copy gets the stored result.

        After a serialization failure or a deadlock, `work` is run again in a new transaction.

        Returns:
            The result as JSON gives it back; None for a compensation that has nothing to undo.

        Raises:
            ActionSuppressed: the action's compensation came first.
            MessageOutOfDate: the message came after its date.
            StoredFailure: an earlier run ended with a failure listed in `fatal`, or a copy of this attempt failed.
            ResultRejected: the result is no JSON; the work was rolled back.
            BarrierMisused: the session is in a transaction, or `work` commits.
        """
        return self._run(self._session(), functools.partial(work, *args, **kwargs))

    def __call__(self, body: Callable[Concatenate[S, P], R]) -> Callable[P, R]:
        """Decorate a task's body; `target` makes its sessions, and each is closed after the run.

        A connection of Django's is handed to the body as it is: Django opens and closes it.
        """
        if isinstance(self._target, Session | Connection):
            raise BarrierMisused("as a decorator, barrier() takes what makes sessions, such as a sessionmaker")
        make: Callable[[], S] = (lambda: self._target) if is_django(self._target) else self._target

        @functools.wraps(body)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            session = make()
            try:
                result: R = self._run(session, functools.partial(body, session, *args, **kwargs))
                return result
            finally:
                _close(self._target, session)

        signature = inspect.signature(body)
        given = list(signature.parameters.values())[1:]
        guarded.__signature__ = signature.replace(parameters=given)  # type: ignore[attr-defined]
        return guarded

    def __enter__(self) -> Once:
        """Take the slot; raises what `run` raises."""
        if self._block is not None:
            raise BarrierMisused("a barrier is crossed once: make another one")
        session = self._session()
        passage = _passage(self._delivery)
        with ExitStack() as exits:
            exits.enter_context(_once_per_delivery(session, self._delivery, passage))
            self._block = Once(_crossing(_connection(session), passage, self._fatal) if passage else None, session)
            self._block.begin()
            self._exits = exits.pop_all()
        return self._block

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit, or roll back when the block raised; stores None when nothing was stored."""
        assert self._block is not None  # noqa: S101 - entered before it is left
        try:
            self._block.end(error)
        except BaseException as failure:
            self._exits.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._exits.__exit__(kind, error, trace)

    def _session(self) -> S:
        if isinstance(self._target, scoped_session):
            session: S = self._target()
            return session
        target: Any = self._target
        if isinstance(target, Session | Connection) or is_django(target):
            return cast("S", target)
        raise BarrierMisused("what makes sessions is for the decorator; here barrier() takes a session or a connection")

    def _run(self, session: S, work: Callable[[], Any]) -> Any:
        passage = _passage(self._delivery)
        if passage is None:
            return _plainly(session, work)
        with _once_per_delivery(session, self._delivery, passage):
            return crossings.cross(_crossing(_connection(session), passage, self._fatal), work)


class Once:
    """The block of a `with barrier(session)`.

    Attributes:
        done: there is nothing to do: an earlier run did it, or there is nothing to undo.
        result: what was stored.
    """

    def __init__(self, crossing: crossings.Crossing | None, session: Target) -> None:
        self._crossing = crossing
        self._connection = _connection(session)
        self._work = ExitStack()
        self._stored = False
        self.done = False
        self.result: Any = None

    def begin(self) -> None:
        """Take the slot."""
        if self._crossing is None:
            self._connection.require_idle()
            self._connection.begin()
            return
        answer = crossings.enter(self._crossing)
        if answer is not None:
            self.done, self.result = True, answer.result
        else:
            self._work.enter_context(self._crossing.work())

    def store(self, result: Any) -> Any:
        """Keep the result, to be committed at the end of the block; returns it as every copy will get it."""
        if self.done or self._stored:
            raise BarrierMisused("there is a result already: look at `done` before the work, and store once")
        self.result = result if self._crossing is None else self._crossing.plain(result)
        self._stored = True
        return self.result

    def end(self, error: BaseException | None) -> None:
        """Commit, or roll back."""
        if self.done:
            self._connection.rollback()  # whatever the block did although it was done
        elif self._crossing is None:
            _end_plainly(self._connection, error)
        else:
            self._end(self._crossing, error)

    def _end(self, crossing: crossings.Crossing, error: BaseException | None) -> None:
        try:
            self._leave_work(error)
            if error is None:
                self.result = crossing.store(self.result)
            crossing.commit()
        except Exception as failure:
            crossing.rollback()
            crossing.explain(failure)
            if failure is not error:
                raise
        except BaseException:
            crossing.rollback()
            if error is None:
                raise

    def _leave_work(self, error: BaseException | None) -> None:
        try:
            self._work.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
        except crossings.FailureStored:
            return
        if error is not None:
            raise error


@overload
def barrier(
    target: DjangoDatabase,
    *,
    delivery: wire.Delivery | Passage | _Current | None = ...,
    fatal: tuple[Fatal, ...] = ...,
) -> Barrier[Any]: ...


@overload
def barrier(
    target: S | scoped_session[Any] | Callable[[], S],
    *,
    delivery: wire.Delivery | Passage | _Current | None = ...,
    fatal: tuple[Fatal, ...] = ...,
) -> Barrier[S]: ...


def barrier(
    target: Any,
    *,
    delivery: wire.Delivery | Passage | _Current | None = CURRENT,
    fatal: tuple[Fatal, ...] = (),
) -> Barrier[Any]:
    """Make what a step writes happen once. The table comes from `create_barrier_table`.

    The action and its compensation must both stand behind a barrier in the same database: a compensation takes an
    action that left no record for one that never came.

    Args:
        target: a session or connection that is in no transaction, or `django.db.connection`; for the decorator, what
            makes one, or `django.db.connection`.
        delivery: whose slot it is; by default that of the task that runs here. None: no saga, the work simply runs.
        fatal: exception types, or their names, that no retry can mend: stored without the work's effects, and raised
            again to every copy. Any other exception lets the next attempt run the work again.
    """
    return Barrier(target, delivery, fatal)


def bar(target: Target, *, delivery: wire.Delivery | Passage | _Current = CURRENT) -> bool:
    """See to it that the action of this delivery's step can take no effect any more, and commit.

    For a probe that does not run behind a barrier itself.

    Returns:
        False when the action has taken effect.
    """
    passage = _passage(delivery)
    if passage is None:
        raise BarrierMisused("there is no saga's delivery here: pass `delivery=`")
    return crossings.bar(_crossing(_connection(target), passage))


def current_delivery() -> wire.Delivery | None:
    """The saga's delivery that this process is working on; None when it is none of a saga's."""
    task = celery.current_app.current_worker_task
    headers = None if task is None else task.request.headers
    if not headers or not wire.is_delivery(headers):
        return None
    found = wire.delivery_from(headers)
    # A task that put itself back decides for itself how long it rests.
    return replace(found, not_after=None) if task is not None and task.request.retries else found


# ------------------------------------------------------------------------------------------------------------- crossing


def _passage(delivery: wire.Delivery | Passage | _Current | None) -> Passage | None:
    found = current_delivery() if isinstance(delivery, _Current) else delivery
    if found is None or isinstance(found, Passage):
        return found
    return Passage(
        saga_id=found.saga_id,
        slot=found.slot,
        attempt=found.attempt,
        action_generation=found.action_generation,
        action_attempt=found.action_attempt,
        not_after=found.not_after,
    )


def _connection(target: Target) -> BarrierConnection:
    return SQLAlchemyConnection(target) if isinstance(target, Session | Connection) else DjangoConnection(target)


def _crossing(
    connection: BarrierConnection, passage: Passage, fatal: frozenset[str] = frozenset()
) -> crossings.Crossing:
    handling = crossings.Handling(
        plain=_plain, failure_of=lambda error: failure_of(error, step=passage.slot.step), rest=_rest
    )
    return crossings.Crossing(connection, passage, handling, fatal)


def _plain(result: Any) -> Any:
    limit = celery.current_app.conf.get("saga_payload_limit", _DEFAULTS.payload_limit)
    try:
        return plain(result, limit)
    except Unstorable as error:
        raise ResultRejected(
            f"{error.name}: return plain, smaller or flatter values; the work was rolled back"
        ) from error


def _rest(tries: int) -> None:
    time.sleep(get_exponential_backoff_interval(factor=10, retries=tries, maximum=500, full_jitter=True) / 1000)


@contextmanager
def _once_per_delivery(session: Target, delivery: object, passage: Passage | None) -> Iterator[None]:
    """A second barrier in the same run would take the first one's result for its own, or wait for it for ever."""
    task = celery.current_app.current_worker_task if isinstance(delivery, _Current) else None
    if task is None or passage is None:
        yield
        return
    connection = _connection(session)
    crossed: set[str] = task.request.__dict__.setdefault("saga_barriers", set())
    place = connection.place
    if place in crossed:
        raise BarrierMisused(
            "a delivery crosses a barrier once: put everything that this task writes behind the same one"
        )
    crossed.add(place)
    if passage.slot.direction is Direction.ACTION:
        on_failure(task.request, functools.partial(_end_attempt, connection, passage))
    try:
        yield
    except BaseException:
        crossed.discard(place)
        raise


def _end_attempt(connection: BarrierConnection, passage: Passage, failed: AttemptFailed) -> None:
    with connection.beside() as another:
        crossings.end_attempt(_crossing(another, passage), failed.failure)


# -------------------------------------------------------------------------------------------------------------- plainly


def _plainly(session: Target, work: Callable[[], Any]) -> Any:
    connection = _connection(session)
    connection.require_idle()
    connection.begin()
    try:
        result = work()
    except BaseException as error:
        _end_plainly(connection, error)
        raise
    _end_plainly(connection, None)
    return result


def _end_plainly(connection: BarrierConnection, error: BaseException | None) -> None:
    if error is None:
        connection.commit()
    else:
        connection.rollback()


def _close(maker: object, session: Target) -> None:
    if isinstance(maker, scoped_session):
        maker.remove()
    elif isinstance(session, Session | Connection):
        session.close()


def _names(fatal: Fatal) -> tuple[str, ...]:
    if isinstance(fatal, str):
        return (fatal,)
    return (fatal.__qualname__ if fatal.__module__ == "builtins" else f"{fatal.__module__}.{fatal.__qualname__}",)
