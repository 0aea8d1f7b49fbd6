"""The gate before the broker: what is paused stays in the store until the pause is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from saga_celery.engine.ports import Pause

LIVES = 2.0
"""Seconds for which a process goes by what it read of the pauses; what it sends meanwhile is sent as usual."""


class OpenGate:
    """Holds nothing."""

    def holds(self, saga_name: str, task: str) -> bool:
        """Nothing is ever held."""
        return False

    def refresh(self) -> None:
        """Nothing is known."""


class PauseGate:
    """Holds what some pause covers. One for each process; safe to use from any thread.

    Args:
        read: reads the pauses.
        clock: a monotonic clock.
    """

    def __init__(self, read: Callable[[], Sequence[Pause]], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._known: tuple[float, Sequence[Pause]] | None = None

    def holds(self, saga_name: str, task: str) -> bool:
        """Tell whether a pause covers such a message, by what was known within the last `LIVES` seconds.

        Raises:
            StoreError: the database does not answer.
        """
        return any(pause.covers(saga_name, task) for pause in self._pauses())

    def refresh(self) -> None:
        """Read the pauses anew at the next question."""
        self._known = None

    def _pauses(self) -> Sequence[Pause]:
        known = self._known
        if known is None or self._clock() - known[0] > LIVES:
            self._known = known = (self._clock(), self._read())
        return known[1]
