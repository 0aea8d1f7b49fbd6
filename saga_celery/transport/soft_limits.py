"""The soft time limit of a task that no message brought: the pool can not tell it, so the process tells itself."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from celery.exceptions import SoftTimeLimitExceeded

logger = logging.getLogger("saga_celery")

SIGNAL = getattr(signal, "SIGUSR1", None)
"""By which a pool tells a child, and on which the child raises; None where the system has no such thing."""


@contextmanager
def soft_limit(seconds: float | None, task: str) -> Iterator[None]:
    """Raise `SoftTimeLimitExceeded` in this thread, the main one of a pool's child, when the time is up.

    Args:
        seconds: the limit; None or 0: there is none.
        task: name and id, for the log.
    """
    if not seconds:
        yield
        return
    alarm = _Alarm(seconds, task)
    alarm.start()
    try:
        yield
    finally:
        with suppress(SoftTimeLimitExceeded):  # rung at the very end: there is no body any more to be told
            alarm.stop()


class _Alarm:
    def __init__(self, seconds: float, task: str) -> None:
        self._seconds = seconds
        self._task = task
        self._lock = threading.Lock()
        self._over = False
        self._whom = threading.get_ident()
        self._timer = threading.Timer(seconds, self._ring)
        self._timer.daemon = True

    def start(self) -> None:
        self._timer.start()

    def _ring(self) -> None:
        with self._lock:
            if not self._over and SIGNAL is not None:
                logger.warning("Soft time limit (%ss) exceeded for %s", self._seconds, self._task)
                signal.pthread_kill(self._whom, SIGNAL)

    def stop(self) -> None:
        """When this returns the bell does not ring any more."""
        self._timer.cancel()
        with self._lock:
            self._over = True
