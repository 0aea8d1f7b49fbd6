"""What people get to see of sagas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from saga_celery.core.events import Fact
from saga_celery.core.states import DeadLetter, SagaState, SagaStatus, Slot
from saga_celery.engine.ports import Awaited


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaRow:
    """A saga in a list. Times are aware and in UTC."""

    id: str
    name: str
    key: str | None
    status: SagaStatus
    version: int
    suspended: bool
    overdue: bool
    """Its deadline passed behind the pivot."""
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    deadline_at: datetime | None
    """None as well while the saga waits to be let in: its time does not count yet."""
    lock: str | None = None
    starts_at: datetime | None = None
    """When it was to begin, where it was started for later."""
    priority: int | None = None
    parent_id: str | None = None
    """The saga whose child it is."""
    archived: bool = False
    """It is kept in the archive: to be looked at, and no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some sagas of a list, the newest first."""

    sagas: Sequence[SagaRow]
    end: SagaRow | None
    """The last one that was looked at, behind which the next page begins; None: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRow:
    """A child saga, and the activity of its parent that waits for it."""

    slot: Slot
    saga: SagaRow


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWait:
    """Something that a saga waits for."""

    slot: Slot
    awaited: Awaited
    due_at: datetime
    since: datetime
    attempt: int
    worker: str
    resends: int
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """Who suspended a saga."""

    since: datetime
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A saga as it stands."""

    saga: SagaRow
    state: SagaState
    tags: Mapping[str, str]
    awaited: tuple[OpenWait, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One transition."""

    version: int
    at: datetime
    facts: tuple[Fact, ...]
    actor: str | None
    """The person behind it, if it was one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter, with its saga."""

    saga_id: str
    saga_name: str
    status: SagaStatus
    letter: DeadLetter
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGroup:
    """How many sagas of one name and one plan have not ended."""

    name: str
    plan_hash: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The latest sign of life of a worker process."""

    worker: str
    beat_at: datetime
    age: float
    """Seconds since then, by the database's clock."""
    attempts: int
    """How many it had in hand."""
    swept: float | None = None
    """Seconds since its sweeper last finished a round; None: it has not, or none runs there."""
