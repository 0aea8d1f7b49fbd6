"""What the engine needs from the world; each port is met by one adapter.

These protocols are internal: they may change with any release.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Protocol

from saga_celery.core.commands import Render, RenderResult
from saga_celery.core.events import Fact, News, Posted
from saga_celery.core.plan import Plan
from saga_celery.core.retry import Retry
from saga_celery.core.states import Message, Parent, SagaState, Slot
from saga_celery.engine.occurrences import Occurrence
from saga_celery.engine.payloads import Payload


class Awaited(StrEnum):
    """What an open row of the store waits for."""

    ADMISSION = "admission"
    """The saga's turn to begin shall come: its time, its lock, its place."""
    NUDGE = "nudge"
    """The coordinator shall look at the saga."""
    DEADLINE = "deadline"
    """The time of the whole saga runs out."""
    HELD = "held"
    """A message that was never sent shall go out; a pause keeps it back."""
    START = "start"
    """A message was sent; some worker shall begin."""
    END = "end"
    """A worker runs the attempt; its lease counts."""
    REST = "rest"
    """The next attempt is due."""


NUDGE_SLOT = Slot("", 0)
"""Address of the nudge that a saga as a whole awaits."""
DEADLINE_SLOT = Slot("", 1)
"""Address of the deadline of a saga as a whole."""


def inbox_slot(news_id: str) -> Slot:
    """Address of the nudge that news in a saga's inbox await."""
    return Slot(news_id, INBOX_ITEM)


INBOX_ITEM = -1
"""What tells that nudge from those of steps; it stays when the saga is done, as news may set it going again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Something to be awaited, `seconds` from now by the database's clock. There is one for each activity of a step."""

    slot: Slot
    awaited: Awaited
    seconds: float
    attempt: int = 0
    epoch: int = 0
    worker: str = ""
    timeout: float = 0.0
    """Seconds that a run may take."""


class PauseKind(StrEnum):
    """What a pause is about."""

    NAME = "name"
    """Sagas of a name."""
    TASK = "task"
    """Messages to a task, of whatever saga."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Somebody's wish that certain messages stay here."""

    kind: PauseKind
    name: str
    """Of the sagas or of the task; may be a pattern: `billing.*`."""
    since: datetime
    actor: str
    reason: str

    def covers(self, saga_name: str, task: str) -> bool:
        """Tell whether it is about the messages of such a saga to such a task."""
        return fnmatchcase(saga_name if self.kind is PauseKind.NAME else task, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """Something awaited whose time has come; whoever holds it has claimed it for a while."""

    saga_id: str
    slot: Slot
    awaited: Awaited
    attempt: int = 0
    epoch: int = 0
    worker: str = ""
    timeout: float = 0.0
    resends: int = 0
    """How often the message was sent again."""
    failures: int = 0
    """How often the sweeper itself failed at this row."""
    age: float = 0.0
    """Seconds since the message went out, since the worker began, or since the task's latest sign of life."""
    version: int = 0
    """The transition that began the wait."""


class Trouble(StrEnum):
    """Why a saga does not move."""

    NOT_BEGUN = "not_begun"
    """A message was repeated in vain: no worker begins with it."""
    UNANSWERED = "unanswered"
    """No coordinator looks at the saga, however often one is asked to."""
    FAILING = "failing"
    """Whoever deals with the wait fails at it again and again."""
    OVERDUE = "overdue"
    """The wait is long overdue, and no sweeper gets at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """A saga that does not move, and the wait that tells so."""

    saga_id: str
    slot: Slot
    attempt: int
    trouble: Trouble
    times: int = 0
    """How often the message was repeated, or somebody failed at the wait."""
    seconds: float = 0.0
    """For how long the wait has been overdue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """How long coordinators have been taking a saga's nudge without being able to answer it."""

    times: int = 0
    seconds: float = 0.0
    """Since the first of those times, by the database's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event that is told to one hook: a task that gets `payload` as its only argument."""

    id: str
    """The event id: made of saga, version, place and hook, so that it is the same whoever makes it."""
    saga_id: str
    event: str
    task: str
    """Name of the hook's task; empty where the process that moved the saga does not know its class."""
    payload: Mapping[str, Any]
    """Plain JSON, complete: nothing has to be looked up to send it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Trace and correlation headers of the saga."""
    seconds: float = 60.0
    """Time until it is sent again, unless the hook has run to its end."""
    tries: int = 1
    """How often it was sent."""
    age: float = 0.0
    """Seconds since the transition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxNews:
    """News left for a saga by somebody who does not wait for what it makes of them."""

    saga_id: str
    id: str
    """There is one of this id for the saga; a second one is the same news again."""
    news: Posted
    fingerprint: str = ""
    """Of an event whose payload is packed, which does not tell whether two events are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChild:
    """A child saga to be started."""

    id: str
    name: str
    plan: Plan
    parent: Parent
    input: Any = None
    timeout: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    priority: int | None = None
    max_running: int | None = None
    """How many sagas of its name may be under way at once."""
    shares_lock: bool = False
    """Its parent may hold a lock, and then it holds that as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One transition, to be stored as a whole or not at all."""

    before: SagaState
    after: SagaState
    """Carries `before.version`; the store raises it by one."""
    facts: tuple[Fact, ...]
    awaited: tuple[Due, ...]
    settled: tuple[Slot, ...]
    deliveries: tuple[Delivery, ...] = ()
    """What hooks are told of it."""
    taken: tuple[str, ...] = ()
    """Ids of the news in the saga's inbox that it rests on."""
    posts: tuple[InboxNews, ...] = ()
    """What it leaves in the inboxes of other sagas."""
    children: tuple[NewChild, ...] = ()
    payloads: tuple[Payload, ...] = ()
    """Values that its facts refer to, to be kept in the saga database."""

    @property
    def wakes(self) -> bool:
        """The saga is resumed: every row of it that sleeps is due at once, as of the same transaction."""
        return self.before.suspended and not self.after.suspended


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One attempt in the hands of a living worker."""

    saga_id: str
    slot: Slot
    attempt: int
    worker: str
    started: bool
    """False: it lies in the worker's own queue and has not begun."""
    seconds: float
    """How long it has been running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Living:
    """The workers whose heartbeat is fresh, and what they have in hand."""

    workers: frozenset[str]
    known: frozenset[str]
    """Every worker that ever had a heartbeat; one that never had can not be told dead by its silence."""
    attempts: Mapping[tuple[str, str, int, str, int], Running]
    """(saga, step, item, direction, attempt) -> who has it."""

    def holder(self, saga_id: str, slot: Slot, attempt: int) -> Running | None:
        """Who has this attempt in hand."""
        return self.attempts.get((saga_id, slot.step, slot.item, slot.direction.value, attempt))


class Store(Protocol):
    """The saga database. Time is its own clock's."""

    def load(self, saga_id: str, *, fresh: bool = True) -> SagaState | None:
        """Read a saga; None when there is none of this id (its start may not be committed yet).

        Args:
            saga_id: the saga.
            fresh: False: a state that this process stored lately will do. It may be out of date, so only a decision
                that is then stored under the guard of its version may rest on it.
        """
        ...

    def load_with_inbox(self, saga_id: str, *, fresh: bool = True) -> tuple[SagaState | None, Sequence[InboxNews]]:
        """Read a saga as `load` does, and what `inbox` holds for it, at the price of one read."""
        ...

    def keep_up(self, saga_id: str, version: int) -> None:
        """Note that a saga has at least this version by now, so that no older state of it is taken for likely."""
        ...

    def catch_up(self, saga_id: str) -> SagaState | None:
        """Read a saga that others moved on, as it is now; None when it is gone."""
        ...

    def plan(self, plan_hash: str) -> Plan:
        """Read a pinned plan."""
        ...

    def inbox(self, saga_id: str) -> Sequence[InboxNews]:
        """News that were left for a saga and that no transition has taken yet, the oldest first."""
        ...

    def save(self, change: Change) -> bool:
        """Store a transition in one transaction, guarded by the version; False when another one came first."""
        ...

    def overdue(self, limit: int, lease: float) -> Sequence[Overdue]:
        """Claim what is due: rows that nobody holds, each moved `lease` seconds on. Never waits for a lock."""
        ...

    def postpone(self, row: Overdue, seconds: float, *, resent: bool = False, failed: bool = False) -> None:
        """Look at a row again later, unless it has changed since."""
        ...

    def observe(self, row: Overdue, running: Running, seconds: float) -> None:
        """Note that an attempt was seen running, so that the row now awaits its end; a later sign of life stands."""
        ...

    def await_again(self, saga_id: str, slot: Slot, attempt: int, seconds: float) -> None:
        """Note that a task put itself back into the queue: it starts again within `seconds`."""
        ...

    def hold(self, row: Overdue, seconds: float) -> None:
        """Look at a held row again later, unless it has changed since or was hastened: its pause may be over."""
        ...

    def release(self, row: Overdue, due: Due) -> bool:
        """Turn a held row into the wait that follows its first dispatch; False when it is held no more."""
        ...

    def sleep(self, row: Overdue) -> None:
        """Look at a row no more until its saga is resumed, unless it has changed, or the saga was resumed, since."""
        ...

    def extend(self, saga_id: str, slot: Slot, attempt: int, worker: str) -> bool:
        """Count an attempt's time from now, as its task gave a sign of life; False when it is not that worker's (any
        more)."""
        ...

    def forget_nudge(self, saga_id: str, version: int) -> None:
        """Drop the awaited nudge, unless a transition after `version` asked for it."""
        ...

    def unanswered(self, saga_id: str) -> Unanswered:
        """Note that a coordinator without the saga's class took the awaited nudge; tell how long that has been so."""
        ...

    def hasten(self, saga_id: str, slots: Sequence[Slot], seconds: float) -> None:
        """Make rows due in `seconds`: their message could not be sent, or their worker is known to be gone."""
        ...

    def living(self) -> Living:
        """The workers with a fresh heartbeat."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message on its way to a participant."""

    saga_id: str
    saga_name: str
    plan_hash: str
    slot: Slot
    attempt: int
    epoch: int
    message: Message
    claim: bool
    """The worker has to claim the attempt before it runs it."""
    safe: bool
    """Safe to run twice."""
    resends: int
    timeout: float
    headers: Mapping[str, str]
    priority: int | None = None
    """What the saga was started with, for the broker; the step's own goes before it."""
    run_on: bool | None = None
    """The process that would send it may run it itself; None: as the app's setting says."""
    action_generation: int = 1
    """Generation of the action that a compensation or a probe is about."""
    action_attempt: int = 1
    """Its latest attempt."""
    version: int = 0
    """The version of the saga that sends it."""


class Transport(Protocol):
    """The broker."""

    def send(self, messages: Sequence[Outgoing]) -> None:
        """Publish messages to participants.

        Raises:
            PublishFailed: the broker did not take them all; which ones is uncertain.
        """
        ...

    def nudge(self, saga_ids: Sequence[str], priority: int | None = None) -> None:
        """Ask some coordinator to look at these sagas.

        Args:
            saga_ids: the sagas.
            priority: of the messages, as the broker understands it; None: its default.

        Raises:
            PublishFailed: the broker did not take the messages.
        """
        ...

    def is_foreign(self, message: Message) -> bool:
        """Tell whether the message goes to a worker that has no saga code."""
        ...

    def backlog(self, message: Message | None = None) -> int:
        """How many messages wait in the queue that this one goes to; None: in the coordinators' own queue.

        0 when the broker can not tell.
        """
        ...


class Gate(Protocol):
    """What may go out."""

    def holds(self, saga_name: str, task: str) -> bool:
        """Tell whether messages of such a saga to such a task stay here for now. Called for every dispatch."""
        ...

    def refresh(self) -> None:
        """Forget what is known of the pauses, so that the next question finds them as they are."""
        ...


class Renderer(Protocol):
    """The sagas' own code."""

    def render(self, plan: Plan, state: SagaState, wish: Render | RenderResult) -> News | None:
        """Let the saga's code answer; None when this process has no such saga, or one with another graph."""
        ...


class Backoff(Protocol):
    """Chance, for the rest before a retry."""

    def __call__(self, retry: Retry, tries: int) -> float:
        """Seconds to rest after `tries` attempts."""
        ...


class Hooks(Protocol):
    """Which hooks are told of what; the core knows nothing of them."""

    def deliveries(self, state: SagaState, version: int, facts: Sequence[Fact]) -> Sequence[Delivery]:
        """What a transition tells to whom.

        Args:
            state: the saga after it.
            version: the version that it leads to.
            facts: what it recorded.

        Raises:
            StoreError: the database failed; nothing may be stored then.
        """
        ...

    def standstill(self, state: SagaState, what: Occurrence) -> Sequence[Delivery]:
        """Whom an event is told that comes of no transition.

        Args:
            state: the saga as it stands.
            what: the event.

        Raises:
            StoreError: the database failed; nothing may be stored then.
        """
        ...

    def resolved(self, delivery: Delivery) -> Sequence[Delivery] | None:
        """Whom a delivery without a task is for; None when the saga's class is not known here either."""
        ...


class StuckStore(Protocol):
    """Sagas that do not move, and which of them were told of."""

    def overdue(self, seconds: float, limit: int) -> Sequence[str]:
        """Sagas with a wait that has been overdue for longer than that."""
        ...

    def repeated(self, limit: int) -> Sequence[str]:
        """Sagas with a wait that was repeated, or failed at, too often; reads all that is open."""
        ...

    def still(self, saga_ids: Sequence[str], *, overdue: float | None) -> Sequence[Stuck]:
        """Those of the sagas that do not move and were not told of yet; not those that are parked or suspended.

        Args:
            saga_ids: who may be stuck.
            overdue: seconds for which a wait may be overdue; None: as long as it likes.
        """
        ...

    def record(self, stuck: Stuck, deliveries: Sequence[Delivery]) -> bool:
        """Note that a saga is told of, together with what hooks are told; False when somebody else did already."""
        ...

    def forget(self, *, overdue: float) -> int:
        """Forget those that moved since, so that they are told of again; returns how many."""
        ...


class DeliveryStore(Protocol):
    """Deliveries that are not known to have run to their end."""

    def due(self, limit: int, lease: float) -> Sequence[Delivery]:
        """Claim what is due, each moved `lease` seconds on. Never waits for a lock."""
        ...

    def postpone(self, delivery: Delivery, seconds: float, *, sent: bool) -> None:
        """Come back to it later; `sent` counts one more try."""
        ...

    def replace(self, delivery: Delivery, by: Sequence[Delivery]) -> None:
        """Store others in its place; those that are there already stay as they are."""
        ...

    def settle(self, ids: Sequence[str]) -> int:
        """Forget deliveries, as their hooks ran to the end; returns how many were still there."""
        ...

    def give_up(self, delivery: Delivery) -> None:
        """Keep it for a person to see; nobody sends it any more."""
        ...

    def hasten(self, ids: Sequence[str], seconds: float) -> None:
        """Make them due in `seconds`, where they are not due earlier."""
        ...


class Post(Protocol):
    """The broker, as far as hooks need it."""

    def deliver(self, delivery: Delivery) -> None:
        """Publish the hook's task.

        Raises:
            PublishFailed: the broker can not be reached.
            Exception: this very message can not be sent.
        """
        ...

    def confirms(self, delivery: Delivery) -> bool:
        """Tell whether the hook's worker has saga code, and so tells when the task has run to its end."""
        ...
