"""The waiting room: all who wait for the end of a saga in this process, and one thread that looks for all of them."""

from __future__ import annotations

import copy
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from weakref import WeakSet

from saga_celery.core.states import SagaStatus
from saga_celery.store.ends import Ends

FIRST_LOOK, LONGEST_LOOK = 0.01, 0.25
"""Seconds between two looks for one saga; they double."""
LOOK_AT_CALLS = 2.0
"""Seconds between two looks while the database calls out what has ended; a call may get lost."""
LINGER = 30.0
"""Seconds for which the thread, and its connection, outstay the last one who waited."""
PATIENCE = 5.0
"""Seconds to wait for the thread's end."""

Statuses = Callable[[Collection[str]], Mapping[str, SagaStatus]]


@dataclass(slots=True, eq=False)
class _Wait:
    saga_id: str
    due: float
    """When to look again."""
    rest: float = FIRST_LOOK
    """From one look to the next."""
    future: Future[SagaStatus | None] = field(default_factory=Future)


class WaitingRoom:
    """Where callers wait. The thread is there only while somebody waits, and a little longer.

    Args:
        statuses: reads where sagas stand; leaves out those that are not there.
        ends: makes the ears for one run of the thread; opens nothing.
        clock: seconds.
    """

    def __init__(
        self, statuses: Statuses, ends: Callable[[], Ends], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._statuses = statuses
        self._make_ends = ends
        self._clock = clock
        self._inherited: Ends | None = None
        self._ends: Ends | None = None
        self._linger = LINGER
        self._open()
        _rooms.add(self)

    def _open(self) -> None:
        self._lock = threading.Lock()
        self._waits: dict[str, set[_Wait]] = {}
        self._inherited, self._ends = self._ends, None  # its sockets are the parent's: neither used nor closed here
        self._thread: threading.Thread | None = None
        self._lingers_until = 0.0

    def enter(self, saga_id: str) -> Future[SagaStatus | None]:
        """Wait for the end of a saga. Whoever cancels the future has left, and nothing stays behind.

        Returns:
            The state that the saga ended in; None when there is no such saga, or none that is committed.
        """
        wait = _Wait(saga_id, self._clock())
        with self._lock:
            self._linger = LINGER
            self._waits.setdefault(saga_id, set()).add(wait)
            if self._ends is None:
                self._begin(self._make_ends())
            else:
                self._ends.interrupt()
        wait.future.add_done_callback(lambda _: self._leave(wait))
        return wait.future

    def close(self) -> None:
        """Do not linger: the thread ends as soon as nobody waits."""
        with self._lock:
            self._linger = self._lingers_until = 0.0
            thread, waiting = self._thread, bool(self._waits)
            if self._ends is not None:
                self._ends.interrupt()
        if thread is not None and not waiting:
            thread.join(PATIENCE)

    def _leave(self, wait: _Wait) -> None:
        with self._lock:
            others = self._waits.get(wait.saga_id, set())
            others.discard(wait)
            if not others:
                self._waits.pop(wait.saga_id, None)
            self._lingers_until = self._clock() + self._linger

    # ---------------------------------------------------------------------------------------------------------- thread

    def _begin(self, ends: Ends) -> None:
        self._ends = ends
        self._thread = threading.Thread(target=self._attend, args=(ends,), name="saga_celery-waits", daemon=True)
        self._thread.start()

    def _attend(self, ends: Ends) -> None:
        heard: Sequence[str] = ()
        while (seconds := self._until_next(ends)) is not None:
            due = self._due(heard, reliable=ends.reliable)
            if due:
                self._look(due)
                heard = ()
            else:
                heard = ends.heard(seconds)
        ends.close()

    def _until_next(self, ends: Ends) -> float | None:
        """Seconds until the next look is due; None: it is time to go."""
        now = self._clock()
        with self._lock:
            if self._waits:
                return max(min(wait.due for waits in self._waits.values() for wait in waits) - now, 0.0)
            if now < self._lingers_until:
                return self._lingers_until - now
            if self._ends is ends:
                self._ends = self._thread = None
            return None

    def _due(self, heard: Sequence[str], *, reliable: bool) -> list[_Wait]:
        """Whom to look for now; who is nearly due comes along, so that looks for many fall together."""
        now, called = self._clock(), set(heard)
        with self._lock:
            waits = [wait for several in self._waits.values() for wait in several]
        if not (called & {wait.saga_id for wait in waits} or any(wait.due <= now for wait in waits)):
            return []
        due = [wait for wait in waits if wait.due - wait.rest / 2 <= now or wait.saga_id in called]
        for wait in due:
            wait.rest = LOOK_AT_CALLS if reliable else min(wait.rest * 2, LONGEST_LOOK)
            wait.due = now + wait.rest
        return due

    def _look(self, waits: Sequence[_Wait]) -> None:
        try:
            found = self._statuses({wait.saga_id for wait in waits})
        except Exception as failure:
            for wait in waits:
                _fail(wait.future, failure)
            return
        for wait in waits:
            status = found.get(wait.saga_id)
            if (status is None or status.ended) and wait.future.set_running_or_notify_cancel():
                wait.future.set_result(status)


def _fail(future: Future[SagaStatus | None], failure: Exception) -> None:
    """Each gets a copy: one exception raised in several threads would gather all their tracebacks."""
    if future.set_running_or_notify_cancel():
        own = copy.copy(failure)
        own.__cause__ = failure
        future.set_exception(own)


_rooms: WeakSet[WaitingRoom] = WeakSet()


def _open_anew() -> None:
    """In the child of a fork there is neither the thread nor anybody who waits."""
    for room in list(_rooms):
        room._open()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_open_anew)
