"""Admission: when a saga that waits for a time, a lock or a place may begin.

Whoever starts it only says on what terms. It is decided after the commit, by a coordinator or the sweeper, so that no
caller ever waits for another one. Until then the saga is `PENDING` and costs one row: no message, no worker.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from saga_celery.core.events import News, Nudged, OperatorAsked, Verb
from saga_celery.core.states import SagaState, SagaStatus
from saga_celery.engine.log_fields import about_state
from saga_celery.engine.ports import Transport
from saga_celery.errors import PublishFailed, StoreError

logger = logging.getLogger("saga_celery")

ACTOR = "admission"
"""Who calls off a saga that was to be refused rather than to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms a saga begins; by default at once."""

    lock: str | None = None
    """At most one saga that holds it is open, whatever its name."""
    refuse: bool = False
    """Rather not begin at all than wait for the lock."""
    max_running: int | None = None
    """How many sagas of its name may be under way at once."""
    at: datetime | None = None
    """Not before this time, aware."""
    delay: float | None = None
    """Not before so many seconds from now."""

    @property
    def scheduled(self) -> bool:
        """It has a time of its own."""
        return self.at is not None or self.delay is not None

    @property
    def gated(self) -> bool:
        """It may have to wait."""
        return self.scheduled or self.lock is not None or self.max_running is not None


AT_ONCE = Terms()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What became of a saga that asked to be let in."""

    admitted: bool
    others: tuple[str, ...] = ()
    """Those that were let in on this occasion, for they came first; they have to be nudged."""
    refused_by: str | None = None
    """Who has the lock that it was not to wait for."""


class WaitsFor(StrEnum):
    """What keeps a saga from beginning."""

    TIME = "time"
    """It was started for later."""
    LOCK = "lock"
    """Another saga has its lock, or comes before it."""
    PLACE = "place"
    """As many of its name are under way as may be."""
    TURN = "turn"
    """Nothing any more: it is let in as soon as somebody looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a saga stands that has not begun."""

    waits_for: WaitsFor
    starts_at: datetime | None = None
    """When its time comes, where it waits for that."""
    lock: str | None = None
    behind: str | None = None
    """Who has the lock; else the saga right before it."""
    behind_state: SagaStatus | None = None
    limit: int | None = None
    """How many of its name may be under way, where it waits for a place."""
    position: int = 0
    """In the queue for what it waits for; 1: it is the next."""


class Gates(Protocol):
    """Who is in, and who waits."""

    def enter(self, saga_id: str) -> Entry:
        """Let in whoever comes first at the gates of this saga. Once in, a saga stays in."""
        ...

    def leave(self, saga_id: str) -> Sequence[str]:
        """Give back what a saga that came to a stop held, and let in who comes next; returns who is to be nudged."""
        ...


class AdmissionControl:
    """Lets sagas in, and tells those that it let in. It keeps no state of its own.

    Args:
        gates: who is in, and who waits.
        transport: the broker.
    """

    def __init__(self, *, gates: Gates, transport: Transport) -> None:
        self._gates = gates
        self._transport = transport

    def enter(self, state: SagaState) -> Entry:
        """Let a saga in if its turn has come.

        Raises:
            StoreError: the database failed; ask again.
        """
        entry = self._gates.enter(state.id)
        self._nudge(entry.others)
        return entry

    def left(self, state: SagaState) -> None:
        """Hand on what a saga held. It never raises: what is not handed on now the sweeper hands on later."""
        try:
            self._nudge(self._gates.leave(state.id))
        except StoreError as failure:
            logger.warning(
                "what saga %s held is handed on by the sweeper (%s)", state.id, failure, extra=about_state(state)
            )

    def _nudge(self, saga_ids: Sequence[str]) -> None:
        if not saga_ids:
            return
        try:
            self._transport.nudge(saga_ids)
        except PublishFailed as failure:
            logger.warning("%d sagas were let in, but the broker took no nudge (%s)", len(saga_ids), failure)


def asks_to_begin(state: SagaState, news: News) -> bool:
    """Tell whether this would be the first step of a saga that may have to wait."""
    return state.gated and state.status is SagaStatus.PENDING and isinstance(news, Nudged)


def hands_on(before: SagaState, after: SagaState) -> bool:
    """Tell whether a transition gives back what the saga held: its place with any end, its lock with a clean one."""
    return before.gated and after.status.ended and after.status is not before.status


def refusal(holder: str) -> OperatorAsked:
    """What calls a saga off that was not to wait; nothing of it was done yet."""
    return OperatorAsked(verb=Verb.CANCEL, actor=ACTOR, reason=f"its lock is held by saga {holder}")
