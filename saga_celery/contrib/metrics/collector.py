"""What prometheus_client asks at each scrape. It answers in time, whatever the database does."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from saga_celery.app import SagaApp
from saga_celery.contrib.metrics import names as n
from saga_celery.contrib.metrics.families import counted, empty, gauge, looked_at
from saga_celery.contrib.metrics.gauges import gauges
from saga_celery.contrib.metrics.meter import Meter
from saga_celery.errors import SagaError
from saga_celery.store import SQLStore

logger = logging.getLogger("saga_celery.metrics")

PATIENCE = 8.0
"""Seconds that a scrape waits for the database; Prometheus itself waits for 10 unless it is told otherwise."""


class SagaCollector(Collector):
    """The metrics of the sagas in one database.

    The database is read in a thread of its own, by one at a time: scrapes that come together share a reading, and one
    that the database keeps waiting is answered without it.

    Args:
        sagas: whose database; it is asked for its settings, too.
        patience: seconds that a scrape may wait.
    """

    def __init__(self, sagas: SagaApp, *, patience: float = PATIENCE) -> None:
        self._sagas = sagas
        self._patience = patience
        self._store: SQLStore | None = None
        self._meter: Meter | None = None
        self._lock = threading.Lock()
        self._reading: _Reading | None = None
        self._complained = False

    def begin(self) -> None:
        """Begin with the first reading, which takes longest, before anybody asks."""
        self._current()

    def describe(self) -> Iterable[Family]:
        """The families, without a look at the database."""
        return map(empty, n.METRICS.values())

    def collect(self) -> Iterable[Family]:
        """The families; `saga_up` 0 and nothing else but `saga_scrape_seconds` where the database does not answer."""
        reading = self._current()
        found = reading.wait(self._patience)
        yield from found or ()
        yield gauge(n.UP, float(found is not None))
        yield gauge(n.SCRAPE_SECONDS, reading.seconds)

    def _current(self) -> _Reading:
        """The one that is under way, or a new one."""
        with self._lock:
            if self._reading is None or self._reading.is_over:
                self._reading = _Reading(self._read)
                self._reading.start()
            return self._reading

    def _read(self) -> Sequence[Family] | None:
        try:
            found = self._families()
        except Exception as error:  # a scrape must not fail: what is beside us in its answer is not concerned
            self._complain(error)
            return None
        if self._complained:
            logger.info("the sagas are measured again")
        self._complained = False
        return found

    def _complain(self, error: Exception) -> None:
        """Once, however many scrapes there are until it is mended."""
        if not self._complained:
            unexpected = None if isinstance(error, SagaError) else error
            logger.warning("the sagas can not be measured: %s", error, exc_info=unexpected)
        self._complained = True

    def _families(self) -> Sequence[Family]:
        store = self._sagas.store
        if self._meter is None or store is not self._store:
            self._sagas.check_schema()
            self._store, self._meter = store, Meter(store.metering)
        look = partial(gauges, plan_of=store.plan, workers_sweep=self._sagas.settings.sweeper)
        found = self._meter.read(look)
        return [*counted(self._meter.tally), *looked_at(found, self._meter.tally.started)]


class _Reading(threading.Thread):
    """One reading of the database.

    Args:
        read: reads it; None: it could not be read.
    """

    def __init__(self, read: Callable[[], Sequence[Family] | None]) -> None:
        super().__init__(name="saga-metrics", daemon=True)
        self._read = read
        self._over = threading.Event()
        self._began = time.monotonic()
        self._seconds = 0.0
        self._found: Sequence[Family] | None = None

    def run(self) -> None:
        """Read."""
        try:
            self._found = self._read()
        finally:
            self._seconds = time.monotonic() - self._began
            self._over.set()

    def wait(self, patience: float) -> Sequence[Family] | None:
        """What was read; None: nothing could be, or not within `patience` seconds of its beginning."""
        self._over.wait(max(self._began + patience - time.monotonic(), 0.0))
        return self._found if self._over.is_set() else None

    @property
    def is_over(self) -> bool:
        """It has ended, one way or another."""
        return self._over.is_set()

    @property
    def seconds(self) -> float:
        """How long it took, or has been taking."""
        return self._seconds if self._over.is_set() else time.monotonic() - self._began
