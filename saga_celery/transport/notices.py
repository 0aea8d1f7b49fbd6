"""Ends of attempts that no wrapper sees: Celery tells of them in the worker's main process, mostly after the ack.

They only make things faster; if one is lost, the lease and the sweeper come to the same end.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import Celery, signals

from saga_celery.core.events import AttemptFailed, AttemptLost
from saga_celery.engine.failures import failure_named
from saga_celery.errors import MessageNotUnderstood
from saga_celery.transport.lifecycle_events import EVENTS, consumer_sends
from saga_celery.transport.permits import PERMIT, permit_for
from saga_celery.transport.reports import Outcome
from saga_celery.transport.seat import WORKER, Seat, stamp
from saga_celery.transport.wire import Delivery, delivery_from, is_delivery

logger = logging.getLogger("saga_celery")

OWN_TASKS = "saga_celery."
"""How the names of the library's own tasks begin; they move sagas, too."""
MOST = 10_000
"""Notices that are kept while the database is away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An attempt that is over."""

    delivery: Delivery
    outcome: Outcome


class Notices:
    """Collects the notices of one worker's main process.

    Args:
        celery: signals of other apps are ignored.
        seat: knows the deliveries in hand.
        wake: called after each notice.
    """

    def __init__(self, celery: Celery, seat: Seat, wake: Callable[[], None]) -> None:
        self._celery = celery
        self._seat = seat
        self._wake = wake
        self._kept: deque[Notice] = deque(maxlen=MOST)

    def connect(self) -> None:
        """Listen to Celery's signals."""
        signals.task_received.connect(self._received, weak=False)
        signals.task_failure.connect(self._failed, weak=False)
        signals.task_revoked.connect(self._revoked, weak=False)
        signals.task_unknown.connect(self._unknown, weak=False)
        signals.task_rejected.connect(self._rejected, weak=False)

    def take(self) -> Notice | None:
        """The oldest notice, taken out; None when there is none."""
        return self._kept.popleft() if self._kept else None

    def put_back(self, notice: Notice) -> None:
        """Keep a notice that could not be dealt with."""
        self._kept.appendleft(notice)

    # --------------------------------------------------------------------------------------------------------- signals

    def _received(self, sender: Any, request: Any, **_: Any) -> None:
        if sender.app is not self._celery:
            return
        headers = request.request_dict
        if is_delivery(headers):
            self._seat.received(request)
        elif request.name.startswith(OWN_TASKS):
            stamp(headers, WORKER, self._seat.worker)  # what runs on after it runs in this worker's name
        if is_delivery(headers) or request.name.startswith(OWN_TASKS):
            stamp(headers, EVENTS, consumer_sends(sender))
            stamp(headers, PERMIT, permit_for(sender, request))

    def _failed(self, sender: Any, task_id: str, exception: BaseException, **_: Any) -> None:
        """Of all failures only those of the child itself: any other the wrapper has seen."""
        if sender.app is self._celery and isinstance(exception, WorkerLostError | TimeLimitExceeded):
            self._note(self._seat.headers_of(task_id), f"{type(exception).__name__}: {exception}")

    def _revoked(self, sender: Any, request: Any, terminated: bool, expired: bool, **_: Any) -> None:
        if sender.app is not self._celery:
            return
        headers = vars(request)
        if terminated:
            self._note(headers, "the task was terminated")
        else:
            self._note_unrun(headers, "Expired" if expired else "Revoked", "the task was not run any more")

    def _unknown(self, sender: Any, message: Any, name: str, **_: Any) -> None:
        if sender.app is self._celery:
            reason = f"no task {name!r} is registered in the worker {sender.hostname}"
            self._note_unrun(message.headers, "UnregisteredTask", reason)

    def _rejected(self, sender: Any, message: Any, exc: Any = None, **_: Any) -> None:
        if sender.app is self._celery:
            self._note_unrun(message.headers, "MessageRejected", f"the worker rejected the message: {exc!r}")

    # ----------------------------------------------------------------------------------------------------------- notes

    def _note(self, headers: Mapping[str, Any] | None, reason: str) -> None:
        delivery = _delivery(headers)
        if delivery is not None:
            self._keep(delivery, AttemptLost(slot=delivery.slot, attempt=delivery.attempt, reason=reason))

    def _note_unrun(self, headers: Mapping[str, Any] | None, name: str, reason: str) -> None:
        """This copy did not run; whether an earlier one did, nobody here knows."""
        delivery = _delivery(headers)
        if delivery is None:
            return
        if _is_later_copy(delivery, headers or {}):
            self._note(headers, reason)
        else:
            failure = failure_named(name, reason, step=delivery.slot.step)
            self._keep(delivery, AttemptFailed(slot=delivery.slot, attempt=delivery.attempt, failure=failure))

    def _keep(self, delivery: Delivery, outcome: Outcome) -> None:
        self._kept.append(Notice(delivery=delivery, outcome=outcome))
        self._wake()


def _delivery(headers: Mapping[str, Any] | None) -> Delivery | None:
    if not is_delivery(headers):
        return None
    try:
        return delivery_from(headers or {})
    except MessageNotUnderstood:
        return None


def _is_later_copy(delivery: Delivery, headers: Mapping[str, Any]) -> bool:
    info = headers.get("delivery_info") or {}
    redelivered = bool(info.get("redelivered") or headers.get("redelivered"))
    return redelivered or delivery.resends > 0 or bool(headers.get("retries"))
