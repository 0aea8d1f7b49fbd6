"""The desk: what sagas ask of the app that runs them. `saga_celery.app` meets this protocol and binds itself here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from saga_celery.core.events import EventSent, Fact, OperatorAsked
from saga_celery.core.moves import Move
from saga_celery.core.plan import Plan
from saga_celery.core.states import DeadLetter, Failure, Parent, SagaStatus, StepKey, StepState, Turn
from saga_celery.engine.admission import AT_ONCE, Standing, Terms
from saga_celery.errors import NotConfigured
from saga_celery.settings import Settings

IfExists = Literal["return", "raise", "new_if_ended"]
"""What `start(key=…)` does when the key is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """A saga to be stored; everything in it is checked and plain JSON."""

    plan: Plan
    """Names the saga, too: `plan.saga`."""
    input: Any
    key: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] | None = None
    """Message headers given by the caller; None: those of the caller's surroundings are taken down."""
    timeout: float | None = None
    """Seconds that the whole saga may take; None: as long as it needs."""
    priority: int | None = None
    """For the broker, and for queues."""
    terms: Terms = AT_ONCE
    """On what terms it begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What became of a request."""

    id: str
    created: bool
    """False: the key was taken, and `id` is the saga that has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A saga as it is stored at one moment."""

    id: str
    name: str
    state: SagaStatus
    key: str | None = None
    input: Any = None
    result: Any = None
    """Plain JSON; None while the saga is not completed."""
    turn: Turn | None = None
    """Why the saga turned round."""
    failure: Failure | None = None
    """The first failure, where one was the cause."""
    letters: tuple[DeadLetter, ...] = ()
    moves: tuple[tuple[Move, ...], ...] = ()
    """For each of the letters what settles it."""
    steps: Mapping[StepKey, StepState] = field(default_factory=dict)
    """How far each step got whose turn has come, by name and item (0: the step itself)."""
    tags: Mapping[str, str] = field(default_factory=dict)
    suspended: bool = False
    """Nothing is sent until it is resumed."""
    overdue: bool = False
    version: int = 0
    """Number of the latest transition; `version=` of an operator's verb."""
    lock: str | None = None
    """What it holds while it is open."""
    standing: Standing | None = None
    """What it waits for before it begins; None: it has begun, or nothing keeps it."""
    parent: Parent | None = None
    """The saga, and the step of it, whose child this one is."""
    archived: bool = False
    """It is kept in the archive: to be looked at, and no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One transition."""

    version: int
    at: datetime
    """By the database's clock."""
    facts: tuple[Fact, ...]


class Desk(Protocol):
    """Where sagas are started, looked up and operated."""

    @property
    def settings(self) -> Settings:
        """The checked configuration."""
        ...

    def start(
        self, requests: Sequence[StartRequest], *, if_exists: IfExists, session: Any | None, connection: Any | None
    ) -> list[Started]:
        """Store sagas, in the caller's transaction where a session or connection is given.

        Raises:
            KeyConflict: a key belongs to a saga with another input.
            AlreadyStarted: a key is taken, and `if_exists` is "raise".
            Locked: a lock is held by another saga that was not to be waited for.
            StoreError: the database failed.
        """
        ...

    def snapshot(self, saga_id_or_key: str, name: str | None = None) -> Snapshot:
        """Read a saga by its id; with `name`, also by the key that it was started with.

        Raises:
            SagaNotFound: there is none.
        """
        ...

    def opened(self, saga_id: str, value: Any) -> Any:
        """The value that a packed one stands for.

        Raises:
            PayloadUnreadable: it is gone, or no codec of this process opens it.
            StoreUnavailable: the payload store does not answer.
        """
        ...

    def history(self, saga_id: str) -> list[HistoryEntry]:
        """Every transition of a saga, the first one first.

        Raises:
            SagaNotFound: there is none.
        """
        ...

    def operate(self, saga_id: str, asked: OperatorAsked) -> SagaStatus:
        """Carry out an operator's verb and tell where the saga stands then.

        Raises:
            Refused: the saga's state does not allow it.
            StaleVersion: the saga has moved since the version that was asked of.
            InputRejected: the arguments or the result are no plain JSON, too large, or not of the type that is needed.
            SagaNotFound: there is no such saga.
        """
        ...

    def joins(self, session: Any | None, connection: Any | None) -> bool:
        """Tell whether the caller has a transaction open that what is asked now would be part of: one that is given, or
        that of the framework around.
        """
        ...

    def post(
        self,
        saga_id: str,
        news: EventSent | OperatorAsked,
        *,
        names: Collection[str],
        session: Any | None,
        connection: Any | None,
    ) -> SagaStatus:
        """Leave news in the inbox of a saga, in the caller's transaction where a session or connection is given.

        Returns:
            Where the saga stands, which does not change before the commit.

        Raises:
            SagaNotFound: there is no such saga of these names.
            Refused: the saga has ended.
            EventConflict: another event has the same id.
        """
        ...

    def wait(self, saga_id: str, timeout: float | None) -> SagaStatus:
        """Wait until a saga has ended or `timeout` seconds are over, and tell where it stands then.

        Raises:
            SagaUnfinished: at once, when the saga is not committed yet: it can not move while its starter waits.
        """
        ...

    async def wait_async(self, saga_id: str, timeout: float | None) -> SagaStatus:
        """The same, without blocking the event loop.

        Raises:
            SagaUnfinished: at once, when the saga is not committed yet.
        """
        ...


_bound: list[Desk] = []


def bind_desk(desk: Desk) -> None:
    """Make `desk` the one that sagas of this process use; a later one takes the place of an earlier one."""
    _bound[:] = [desk]


def current_desk() -> Desk:
    """The desk of this process.

    Raises:
        NotConfigured: no app was made yet.
    """
    if not _bound:
        raise NotConfigured(
            "sagas have no app in this process: add `SagaApp(celery_app)` below the line that makes the Celery app, "
            "and import that module wherever sagas are started"
        )
    return _bound[0]
