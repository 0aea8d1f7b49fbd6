"""`Saga`: what a user subclasses."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, Self, get_args, get_origin

from celery.canvas import Signature
from typing_extensions import TypeVar

from saga_celery.definition import registry
from saga_celery.definition.body import Body
from saga_celery.definition.children import Child
from saga_celery.definition.compiler import compile_saga
from saga_celery.definition.definitions import Definition
from saga_celery.definition.desk import Desk, IfExists, Snapshot, current_desk
from saga_celery.definition.handle import SagaHandle
from saga_celery.definition.rendering import Rendering
from saga_celery.definition.starting import StartItem, Tags, check_if_exists, start_request
from saga_celery.definition.terms import IfLocked
from saga_celery.errors import DefinitionError, SagaNotFound

InputT = TypeVar("InputT")
ResultT = TypeVar("ResultT", default=None)


class SagaMeta(type):
    """Watches the body of a saga class, and compiles and registers the class once it is complete."""

    @classmethod
    def __prepare__(cls, name: str, bases: tuple[type, ...], /, **kwargs: Any) -> Body:
        """Give the class body a dict that refuses to lose steps, and that knows the local names around the class."""
        around = sys._getframe(1)
        scope = {} if around.f_locals is around.f_globals else dict(around.f_locals)
        return Body(name, scope)

    def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any], /, **kwargs: Any) -> None:
        super().__init__(name, bases, body, **kwargs)
        if any(isinstance(base, SagaMeta) for base in bases):
            scope = body.scope if isinstance(body, Body) else {}
            cls._definition = compile_saga(cls, _parameters(body), scope)
            registry.register(cls)  # type: ignore[arg-type]


def _parameters(body: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """What stands in the brackets of `Saga[…]`."""
    for base in body.get("__orig_bases__", ()):
        origin = get_origin(base)
        if isinstance(origin, SagaMeta):
            return get_args(base)
    return None


def _looked_up(definition: Definition, desk: Desk, id_or_key: str) -> Snapshot:
    """A saga by its id, or by a key that was used under the saga's name or under one that it had before."""
    try:
        return desk.snapshot(id_or_key, definition.name)
    except SagaNotFound:
        for name in definition.former_names:
            with suppress(SagaNotFound):
                return desk.snapshot(id_or_key, name)
        raise


class Saga(Generic[InputT, ResultT], metaclass=SagaMeta):
    """A saga: an ordered set of steps, each with what undoes it.

    Subclass it as `Saga[Input]` or `Saga[Input, Result]`, give it a `name`, and write its steps below each other. The
    class is checked and registered when its module is imported. Methods are called on fresh instances that live for
    one call; `self` gives them `key()`, `key_of()`, `task()` and `saga_id`.

    Attributes:
        name: the name of the saga, under which it is stored; at most 200 letters, digits and `_.:-`.
        timeout: time for the whole saga, after which it is undone; None, the default: it may take as long as it needs.
        undo_window: for how long after its end a completed saga may still be undone by an operator's `compensate`;
            None, the default: what is complete stays.
        retention: for how long after its end a saga is kept before sweepers delete it, in place of `saga_retention`;
            `timedelta.max`: for ever.
        max_running: how many sagas of this class may be under way at once; those that are started beyond it wait in
            the database, in order. None, the default: no limit.
        run_on: whether the process that settles a step may run the next one itself, right away and without the broker,
            where the step does not say it; None, the default: as the setting `saga_run_on` says.
        renamed_from: the name, or names, that the saga had before; those that are open go on with this class.
        hooks: event -> name of the task, or a list of names, that is told of it at least once, such as
            `{"saga_failed": "ops.page"}`; the events are those of `saga_celery.signals`.

    Raises:
        DefinitionError: when the class is defined: it can not work; says where and what to write.
    """

    name: ClassVar[str]
    timeout: ClassVar[timedelta | None] = None
    undo_window: ClassVar[timedelta | None] = None
    retention: ClassVar[timedelta | None] = None
    max_running: ClassVar[int | None] = None
    run_on: ClassVar[bool | None] = None
    renamed_from: ClassVar[str | tuple[str, ...]] = ()
    hooks: ClassVar[Mapping[str, str | Sequence[str]]] = {}
    _definition: ClassVar[Definition]
    _rendering: Rendering

    # ---------------------------------------------------------------------------------------------------------- start

    @classmethod
    def start(
        cls,
        data: InputT,
        *,
        key: str | None = None,
        tags: Tags | None = None,
        headers: Mapping[str, str] | None = None,
        if_exists: IfExists = "return",
        session: Any | None = None,
        connection: Any | None = None,
        timeout: timedelta | None = None,
        lock: str | None = None,
        if_locked: IfLocked = "queue",
        priority: int | None = None,
        at: datetime | None = None,
        delay: timedelta | None = None,
    ) -> SagaHandle[ResultT]:
        """Start a saga. Once this has committed the saga ends, whatever happens to broker and workers.

        Args:
            data: the input.
            key: there is one saga of this class with this key; a second start with the same input finds the first.
            tags: what it can be searched by.
            headers: message headers for all messages of the saga; default those of the caller's surroundings.
            if_exists: what to do when the key is taken: "return" that saga, "raise", or "new_if_ended".
            session: an SQLAlchemy session whose transaction the start joins.
            connection: a database connection whose transaction the start joins.
            timeout: time for this saga, counted from when it may begin; default that of the class.
            lock: of all sagas that are started with this lock, whatever their class, one at a time is open.
            if_locked: while another saga has the lock, wait for it ("queue") or refuse to start ("raise").
            priority: `apply_async(priority=…)` of all messages of the saga; among those who wait for the same lock or
                place the higher one goes first.
            at: begin at this time, which has a time zone, by the database's clock.
            delay: begin this long from now.

        Raises:
            InputRejected: input, key, tags, headers or terms do not fit; nothing was stored.
            KeyConflict: the key belongs to a saga with another input.
            AlreadyStarted: the key is taken, and `if_exists` is "raise".
            Locked: another saga has the lock, and `if_locked` is "raise"; nothing was stored.
            NotConfigured: there is no app in this process.
            StoreError: the database failed.
        """
        item = StartItem(data, key, tags, lock, priority, at, delay)
        return cls._start(
            [item],
            headers=headers,
            if_exists=if_exists,
            session=session,
            connection=connection,
            timeout=timeout,
            if_locked=if_locked,
        )[0]

    @classmethod
    def start_many(
        cls,
        items: Iterable[InputT | StartItem[InputT]],
        *,
        headers: Mapping[str, str] | None = None,
        if_exists: IfExists = "return",
        session: Any | None = None,
        connection: Any | None = None,
        timeout: timedelta | None = None,
        if_locked: IfLocked = "queue",
    ) -> list[SagaHandle[ResultT]]:
        """Start many sagas at once, all or none.

        Args:
            items: inputs, or `StartItem`s with keys, tags, locks and times.
            headers: see `start`, as for the rest.
            if_exists: see `start`.
            session: see `start`.
            connection: see `start`.
            timeout: see `start`.
            if_locked: see `start`.

        Returns:
            Their handles, in the order of the items.

        Raises:
            InputRejected: one of the items does not fit; nothing was stored.
            KeyConflict: a key belongs to a saga with another input.
            AlreadyStarted: a key is taken, and `if_exists` is "raise".
            Locked: another saga has a lock, and `if_locked` is "raise"; nothing was stored.
            NotConfigured: there is no app in this process.
            StoreError: the database failed.
        """
        wrapped = [each if isinstance(each, StartItem) else StartItem(each) for each in items]
        return cls._start(
            wrapped,
            headers=headers,
            if_exists=if_exists,
            session=session,
            connection=connection,
            timeout=timeout,
            if_locked=if_locked,
        )

    @classmethod
    def _start(
        cls,
        items: list[StartItem[InputT]],
        *,
        headers: Mapping[str, str] | None,
        if_exists: IfExists,
        session: Any | None,
        connection: Any | None,
        timeout: timedelta | None,
        if_locked: IfLocked,
    ) -> list[SagaHandle[ResultT]]:
        definition, desk = cls.definition(), current_desk()
        check_if_exists(definition, if_exists)
        limit = desk.settings.payload_limit
        requests = [
            start_request(definition, item, headers=headers, timeout=timeout, limit=limit, if_locked=if_locked)
            for item in items
        ]
        started = desk.start(requests, if_exists=if_exists, session=session, connection=connection)
        return [SagaHandle(definition, desk, each.id, created=each.created) for each in started]

    @classmethod
    def si(cls, data: InputT, *, timeout: timedelta | None = None) -> Child[ResultT]:
        """This saga as a step of another one: what a method annotated `-> Child[X]` returns.

        Args:
            data: the input.
            timeout: time for this saga; default that of the class.
        """
        return Child(cls, data, timeout)

    @classmethod
    def get(cls, id_or_key: str) -> SagaHandle[ResultT]:
        """A saga of this class by its id, or by the key that it was started with.

        Raises:
            SagaNotFound: there is none.
            NotConfigured: there is no app in this process.
        """
        definition, desk = cls.definition(), current_desk()
        snapshot = _looked_up(definition, desk, id_or_key)
        if snapshot.name not in (definition.name, *definition.former_names):
            raise SagaNotFound(f"saga {snapshot.id} is a {snapshot.name}, no {definition.name}")
        return SagaHandle(definition, desk, snapshot.id, created=False)

    @classmethod
    def definition(cls) -> Definition:
        """What the class was compiled to.

        Raises:
            DefinitionError: for `Saga` itself.
        """
        if "_definition" not in vars(cls):
            raise DefinitionError(f"{cls.__qualname__} is no saga of its own; subclass it")
        return cls._definition

    # --------------------------------------------------------------------------------------------------- in its methods

    @classmethod
    def _rendered_by(cls, rendering: Rendering) -> Self:
        """A fresh instance for one call."""
        instance = cls.__new__(cls)
        instance._rendering = rendering
        return instance

    def _rendered(self) -> Rendering:
        rendering: Rendering | None = getattr(self, "_rendering", None)
        if rendering is None:
            raise DefinitionError(f"{type(self).__qualname__} has no instances of its own; call .start(…) on the class")
        return rendering

    @property
    def saga_id(self) -> str:
        """The id of the saga."""
        return self._rendered().state.id

    def key(self, item: str | int | None = None) -> str:
        """The idempotency key of the message that is being made: the same over all its attempts.

        Passing it on says that the participant makes one effect of many deliveries: the message is safe to run twice.

        Args:
            item: in a step that returns a list, what tells this item from the others: `self.key(line.sku)`. Its
                compensation needs none, for it is called once for each item.

        Raises:
            DefinitionError: a step that returns a list does not say which item is meant.
        """
        return self._rendered().key(item)

    def key_of(self, step: str) -> str:
        """The idempotency key of another step's action.

        Args:
            step: its name.

        Raises:
            DefinitionError: the saga has no such step, or it is a fan-out.
        """
        return self._rendered().key_of(step)

    def task(self, name: str, /, *args: Any, **kwargs: Any) -> Signature[Any]:
        """The signature of a task of another codebase, known by its name only.

        Args:
            name: the name of the task.
            args: its arguments.
            kwargs: its named arguments.
        """
        return Signature(name, args=args, kwargs=kwargs, immutable=True)

    def result(self, *args: Any, **kwargs: Any) -> ResultT:
        """The saga's result, None by default: override it with the input and the results of any steps as arguments."""
        nothing: Any = None
        return nothing  # type: ignore[no-any-return]
