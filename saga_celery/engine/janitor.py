"""The janitor: has sagas leave that were kept long enough, a little at each tick of a sweeper."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

from saga_celery.errors import StoreUnavailable

logger = logging.getLogger("saga_celery")

ROUND_EVERY = 60.0
"""Seconds between the end of a round and the beginning of the next one: what is old is not in a hurry."""


class Janitor:
    """What one process clears away. Its sweepers share it, one tick at a time; any number of processes is harmless.

    Args:
        begin: begins a round, each step of which is one short transaction.
        elapsed: a monotonic clock.
    """

    def __init__(self, begin: Callable[[], Iterator[object]], *, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._begin = begin
        self._elapsed = elapsed
        self._round: Iterator[object] | None = None
        self._rests_until: float | None = None

    def ticked(self) -> None:
        """Take one step of a round, or rest.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        if self._rests_until is not None and self._elapsed() < self._rests_until:
            return
        try:
            self._round = self._begin() if self._round is None else self._round
            for _ in self._round:
                return
            self._rest()
        except StoreUnavailable:
            self._rest()
            raise
        except Exception:
            logger.exception("the sweeper could not clear away what is old; it comes back to it")
            self._rest()

    def _rest(self) -> None:
        self._round, self._rests_until = None, self._elapsed() + ROUND_EVERY
