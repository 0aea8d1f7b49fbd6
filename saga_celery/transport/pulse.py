"""The one thread that a worker's main process runs for its sagas: heartbeat, sweeper and notices."""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Callable

from saga_celery.engine.forking import GATE
from saga_celery.errors import PublishFailed, StoreError
from saga_celery.transport.aftermath import hasten_rest
from saga_celery.transport.heartbeat import running
from saga_celery.transport.notices import Notice, Notices
from saga_celery.transport.runtime import Runtime
from saga_celery.transport.wire import about_delivery

logger = logging.getLogger("saga_celery")

JITTER = 0.2
"""Share of the interval by which the sweeps of many workers are drawn apart."""
LONGEST_REST = 30.0
PATIENCE = 5.0
"""Seconds that the end of the worker waits for the thread."""


class Pulse:
    """Beats, sweeps, and deals with notices, until it is told to stop; no exception ends it.

    Args:
        runtime: this process.
        worker: identity of the worker.
        notices: what Celery's signals told.
        on_turn: called after every turn, for tests.
        clock: a monotonic clock.
    """

    def __init__(
        self,
        runtime: Runtime,
        worker: str,
        notices: Notices | None = None,
        *,
        on_turn: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runtime = runtime
        self._worker = worker
        self._notices = notices
        self._on_turn = on_turn
        self._clock = clock
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._next_beat = self._next_sweep = 0.0
        self._sweeps = 0
        self._swept: float | None = None
        self._rest = 0.0
        self._outages: set[str] = set()

    # ---------------------------------------------------------------------------------------------------------- thread

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread = threading.Thread(target=self._live, name="saga_celery-pulse", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Take the next turn now."""
        self._woken.set()

    def stop(self) -> None:
        """End in good order: the worker's heartbeat is taken away."""
        self._stopped.set()
        self.wake()
        if self._thread is not None:
            self._thread.join(PATIENCE)
        if self._runtime.has_store:
            self._guarded("the farewell", lambda: self._runtime.farewell(self._worker))

    def _live(self) -> None:
        while not self._stopped.is_set():
            with GATE.work():
                self.turn()
            self._woken.wait(self.seconds_left())
            self._woken.clear()

    def seconds_left(self) -> float:
        """Seconds until something is to be done."""
        if not self._runtime.has_store:
            return self._rest or LONGEST_REST
        due = min(self._next_beat, self._next_sweep) if self._runtime.settings.sweeper else self._next_beat
        return max(due - self._clock(), self._rest, 0.0)

    # ------------------------------------------------------------------------------------------------------------ turn

    def turn(self) -> None:
        """Do what is due."""
        good = [self._guarded("notices", self._deal_with_notices)]
        if self._runtime.has_store:
            good.append(self._guarded("the heartbeat", self._beat))
            good.append(self._guarded("the sweeper", self._sweep))
        self._rest = 0.0 if all(good) else min(max(self._rest * 2, 0.5), LONGEST_REST)
        if self._on_turn is not None:
            self._on_turn()

    def _guarded(self, what: str, act: Callable[[], None]) -> bool:
        """One warning for each outage, and a word when it is over."""
        try:
            act()
        except (StoreError, PublishFailed) as failure:
            if what not in self._outages:
                logger.warning("%s of worker %s must wait: %s", what, self._worker, failure)
            self._outages.add(what)
            return False
        except Exception:
            logger.exception("%s of worker %s failed", what, self._worker)
            return False
        if what in self._outages:
            self._outages.discard(what)
            logger.info("%s of worker %s goes on", what, self._worker)
        return True

    def _beat(self) -> None:
        if self._clock() >= self._next_beat:
            swept = None if self._swept is None else self._clock() - self._swept
            self._runtime.beat(self._worker, running(self._runtime.celery, self._worker), swept)
            self._next_beat = self._clock() + self._runtime.settings.heartbeat_interval

    def _sweep(self) -> None:
        """One batch, so that no long sweep keeps the heart from beating."""
        if not self._runtime.settings.sweeper or self._clock() < self._next_sweep:
            return
        self._next_sweep = self._clock() + self._drawn_apart(self._runtime.settings.sweep_interval)
        if self._runtime.sweeper().tick().more:
            self._next_sweep = self._clock()
        if self._swept is None:
            self._next_beat = self._clock()  # that it sweeps is known at once, from then on with each heartbeat
        self._swept = self._clock()

    def _drawn_apart(self, interval: float) -> float:
        """Different for each worker and sweep, yet without chance."""
        self._sweeps += 1
        share = zlib.crc32(f"{self._worker} {self._sweeps}".encode()) / 0xFFFF_FFFF
        return interval * (1 - JITTER + 2 * JITTER * share)

    # --------------------------------------------------------------------------------------------------------- notices

    def _deal_with_notices(self) -> None:
        while self._notices is not None and (notice := self._notices.take()) is not None:
            try:
                self._deal_with(notice)
            except (StoreError, PublishFailed):
                self._notices.put_back(notice)
                raise
            except Exception:
                logger.exception(
                    "the end of an attempt of saga %s is left to its lease",
                    notice.delivery.saga_id,
                    extra=about_delivery(notice.delivery),
                )

    def _deal_with(self, notice: Notice) -> None:
        delivery = notice.delivery
        if self._runtime.has_store:
            hasten_rest(self._runtime, delivery.saga_id, delivery)
            coordinator = self._runtime.coordinator(parks_render_failures=False)
            coordinator.handle(delivery.saga_id, notice.outcome)
        else:
            self._runtime.transport.report(delivery.report_to, delivery.saga_id, notice.outcome)
