"""The database's time, without asking the database each time: a watch that is set by it once a minute."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

SET_EVERY = 60.0
"""Seconds after which the watch is set anew: where a machine sleeps, its own count of seconds may sleep with it."""


class Watch:
    """Good to well below a second, which will do for what lasts hours. No decision of a saga rests on it.

    Args:
        ask: asks the database; raises `StoreError`.
        elapsed: seconds, counted by this machine from wherever it likes; never goes back.
    """

    def __init__(self, ask: Callable[[], datetime], elapsed: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._elapsed = elapsed
        self._set: tuple[datetime, float] | None = None

    def time(self) -> datetime:
        """The database's time, aware.

        Raises:
            StoreError: it is time to set the watch, and the database does not answer.
        """
        found = self._set
        if found is None or self._elapsed() - found[1] > SET_EVERY:
            found = self._set = (self._ask(), self._elapsed())
        time_then, at = found
        return time_then + timedelta(seconds=self._elapsed() - at)
