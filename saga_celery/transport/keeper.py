"""Signs of life for a body that no worker's main process knows of, and so no heartbeat lists.

As long as they come the sweeper takes the attempt for running; when its process dies they stay away. They end with the
lease, whatever the body does.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from saga_celery.engine.forking import GATE
from saga_celery.errors import StoreError
from saga_celery.transport.aside import started

logger = logging.getLogger("saga_celery")

TURN = 1.0
"""Seconds between two looks at the body; one that is over before the first costs no sign."""
SIGN = 4.0
"""Seconds between two signs of one body; a sweeper takes it for lost after `sweeper.UNLISTED` without any."""


class Body(Protocol):
    """A body at work."""

    def is_over(self) -> bool:
        """Its lease has run out."""
        ...

    def extend(self) -> bool:
        """Tell the store that it is at work; False when nobody waits for it any more."""
        ...

    def lose(self) -> None:
        """Tell the saga that its outcome counts as unknown."""
        ...


class Keeper:
    """Watches the one body that a process runs, from a thread that is there only while bodies run.

    Args:
        on_sign: called with each sign; must not fail.
        clock: a monotonic clock.
    """

    def __init__(self, on_sign: Callable[[], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._on_sign = on_sign
        self._clock = clock
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._body: Body | None = None
        self._next_sign = 0.0

    def watch(self, body: Body) -> None:
        """Give signs for a body that begins."""
        with self._lock:
            self._body, self._next_sign = body, self._clock() + TURN
            if self._thread is None:
                self._thread = started(self._live, "saga_celery-keeper")

    def leave(self) -> None:
        """The body is over: when this returns no sign is under way, and none follows."""
        with self._lock:
            self._body = None

    def _live(self) -> None:
        while True:
            time.sleep(TURN)
            if not self.turn():
                return

    def turn(self) -> bool:
        """Look at the body once; False when there is none, and the thread goes."""
        with self._lock:
            if self._body is None:
                self._thread = None
                return False
            try:
                with GATE.work():
                    self._look(self._body)
            except StoreError as failure:
                logger.warning("a sign of life of a step that ran on is not noted: %s", failure)
            except Exception:
                logger.exception("a sign of life of a step that ran on failed")
            return True

    def _look(self, body: Body) -> None:
        if body.is_over():
            body.lose()
            self._body = None
        elif self._clock() >= self._next_sign:
            self._on_sign()
            if not body.extend():
                self._body = None
            self._next_sign = self._clock() + SIGN
