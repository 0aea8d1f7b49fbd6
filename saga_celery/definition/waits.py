"""`@wait_for` and `sleep`: steps that wait, and cost no worker and no message while they do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Concatenate, Generic, TypeAlias, TypeVar, overload

from celery.canvas import Signature

from saga_celery.core.retry import Retry
from saga_celery.definition.options import Options, Seconds
from saga_celery.definition.sending import send
from saga_celery.definition.skip import Skip
from saga_celery.definition.spans import LONGEST
from saga_celery.definition.steps import Step
from saga_celery.errors import DefinitionError

EventT = TypeVar("EventT")

WaitMethod: TypeAlias = Callable[Concatenate[Any, Any, ...], Signature[Any] | Skip | None]
"""(self, input, *results of earlier steps) -> the signature that asks for the event, SKIP, or None: just wait."""
SleepMethod: TypeAlias = Callable[Concatenate[Any, Any, ...], timedelta]
"""(self, input, *results of earlier steps) -> how long."""


class Wait(Step[EventT], Generic[EventT]):
    """A step that waits for an event; what `OrderSaga.approve` gives. It is made by `@wait_for`, never called."""

    def __init__(self, method: Callable[..., Any], options: Options, event: type[EventT]) -> None:
        super().__init__(method, options)
        self.event = event
        self.saga: Any = None
        self.name = getattr(method, "__name__", "")

    def __set_name__(self, owner: type, name: str) -> None:
        self.saga, self.name = owner, name

    def send(
        self,
        saga_id: str,
        event: EventT,
        *,
        event_id: str | None = None,
        actor: str = "",
        session: Any | None = None,
        connection: Any | None = None,
    ) -> None:
        """Answer the wait of a saga, from anywhere; also before its turn has come.

        Args:
            saga_id: the saga.
            event: the answer, of the type that the wait is for.
            event_id: there is one event of this id for the saga, so that the same may be sent again and again; default:
                every call is an event of its own. Of several events the first one is the answer.
            actor: who answers; kept in the history.
            session: an SQLAlchemy session whose transaction the sending joins.
            connection: a database connection whose transaction the sending joins.

        Raises:
            InputRejected: the event is of another type, or its id can not be stored; nothing was sent.
            SagaNotFound: there is no such saga of this class.
            Refused: the saga has ended.
            EventConflict: another event was sent under this id before.
            NotConfigured: there is no app in this process.
            StoreError: the database failed.
        """
        if self.saga is None:
            raise DefinitionError(f"{self!r} belongs to no saga class")
        send(
            self.saga.definition(),
            saga_id,
            self.name,
            event,
            event_id=event_id,
            actor=actor,
            session=session,
            connection=connection,
        )


def wait_for(
    event: type[EventT],
    *,
    timeout: Seconds,
    skippable: bool = False,
    retry: Retry | None = None,
    renamed_from: str | tuple[str, ...] = (),
) -> Callable[[WaitMethod], Wait[EventT]]:
    """Make a method a step that waits for an event from outside: an approval, a payment notice, a person's choice.

    The method may return the signature of a task that asks for the event, SKIP when none is needed, or None. Steps
    below take the event as the result of this one.

    Args:
        event: its type.
        timeout: seconds, or a timedelta, after which nobody will answer. Then the saga turns round; behind the pivot
            the wait is parked, and an event that comes late still answers it.
        skippable: when nobody answers in time the saga goes on without; who takes the event gets None then.
        retry: of the task that asks; default `Retry()`. It is taken to be safe to run twice.
        renamed_from: the name, or names, that this step had before.
    """
    options = Options(
        retry=retry,
        idempotent=True,
        wait=timeout,
        skippable=skippable,
        renamed_from=(renamed_from,) if isinstance(renamed_from, str) else renamed_from,
    )

    def make(method: WaitMethod) -> Wait[EventT]:
        return Wait(method, options, event)

    return make


class Sleep(Step[None]):
    """A step that lets time pass. It is made by `sleep`, never called."""


@overload
def sleep(length: timedelta, /, *, renamed_from: str | tuple[str, ...] = ...) -> Sleep: ...


@overload
def sleep(length: SleepMethod, /, *, renamed_from: str | tuple[str, ...] = ...) -> Sleep: ...


def sleep(length: timedelta | Callable[..., Any], /, *, renamed_from: str | tuple[str, ...] = ()) -> Sleep:
    """A step that lets time pass: `cool_off = sleep(timedelta(days=14))`, or `@sleep` above a method.

    Args:
        length: how long, or a method that returns it.
        renamed_from: the name, or names, that this step had before.

    Raises:
        DefinitionError: it is no time, or none at all.
    """
    names = (renamed_from,) if isinstance(renamed_from, str) else renamed_from
    if isinstance(length, timedelta) and length <= timedelta(0):
        raise DefinitionError(f"sleep({length!r}): nothing would be waited for; give more than no time")
    if isinstance(length, timedelta) and length > LONGEST:
        raise DefinitionError(f"sleep({length!r}): a saga can sleep for {LONGEST.days} days at most")
    if not callable(length) and not isinstance(length, timedelta):
        raise DefinitionError(f"sleep({length!r}): say how long as a timedelta: sleep(timedelta(seconds={length!r}))")
    method = _constantly(length) if isinstance(length, timedelta) else length
    return Sleep(method, Options(renamed_from=names))


def _constantly(length: timedelta) -> Callable[..., timedelta]:
    def always(self: Any, data: Any) -> timedelta:
        return length

    return always
