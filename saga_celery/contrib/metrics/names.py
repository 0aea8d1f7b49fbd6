"""Every metric: its name, its kind, its labels and what it tells. docs/metrics.md has the same table, for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Of a metric, as Prometheus calls it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric. No label ever has as many values as there are sagas."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str


def _counter(name: str, *labels: str, tells: str) -> Metric:
    return Metric(name=name, kind=Kind.COUNTER, labels=labels, help=tells)


def _gauge(name: str, *labels: str, tells: str) -> Metric:
    return Metric(name=name, kind=Kind.GAUGE, labels=labels, help=tells)


def _histogram(name: str, *labels: str, tells: str) -> Metric:
    return Metric(name=name, kind=Kind.HISTOGRAM, labels=labels, help=tells)


STARTED = _counter("saga_started_total", "saga", tells="Sagas started.")
FINISHED = _counter("saga_finished_total", "saga", "outcome", tells="Sagas that ended: completed, compensated, failed.")
DURATION = _histogram(
    "saga_duration_seconds", "saga", "outcome", tells="From the start of a saga until it was completed or compensated."
)
ATTEMPTS = _counter(
    "saga_step_attempts_total",
    *("saga", "step", "direction", "outcome"),
    tells="Attempts of steps that ended: succeeded, failed, lost.",
)
STEP_SECONDS = _histogram(
    "saga_step_seconds", "saga", "step", "direction", tells="From sending an attempt of a step until its answer."
)
SAGAS_OPEN = _gauge("saga_open", "saga", "state", tells="Sagas that are pending, running, compensating or failed.")
OLDEST_OPEN = _gauge(
    "saga_oldest_open_seconds", "saga", tells="Age of the oldest saga that has not ended; those that failed apart."
)
STUCK = _gauge("saga_stuck", "saga", tells="Sagas that wait for a person, or for something long overdue.")
UNDO_FAILED = _gauge("saga_undo_failed", "saga", tells="Sagas with a compensation in the dead letters.")
WAITING_FOR_SIGNAL = _gauge("saga_waiting_for_signal", "saga", tells="Sagas that wait for an event from outside.")
DEAD_LETTERS = _gauge("saga_dead_letters", "saga", "reason", tells="Dead letters, by why they are there.")
OUTBOX_DEPTH = _gauge("saga_outbox_depth", "kind", tells="Messages that nobody is known to have taken.")
OUTBOX_OLDEST = _gauge("saga_outbox_oldest_seconds", "kind", tells="Age of the oldest of them.")
HELD = _gauge("saga_held", tells="Messages that a pause keeps back.")
HOOKS_GIVEN_UP = _gauge("saga_hooks_given_up", tells="Deliveries to hooks that nobody sends any more.")
OVERDUE = _gauge("saga_overdue_seconds", tells="How long the oldest wait has been overdue: the lag of the sweepers.")
WORKERS = _gauge("saga_workers", tells="Processes that have the saga database and a fresh heartbeat.")
WORKER_HEARTBEAT = _gauge("saga_worker_heartbeat_seconds", tells="Since the latest heartbeat of any of them.")
SWEEPERS = _gauge("saga_sweepers", tells="Those of them that sweep.")
SWEEPER_HEARTBEAT = _gauge("saga_sweeper_heartbeat_seconds", tells="Since the latest heartbeat of any that sweeps.")
UP = _gauge("saga_up", tells="1: the saga database was read for this scrape. 0: it was not, and all else is missing.")
SCRAPE_SECONDS = _gauge("saga_scrape_seconds", tells="How long the saga database was read for this scrape.")

METRICS: Mapping[str, Metric] = {
    each.name: each
    for each in (
        STARTED,
        FINISHED,
        DURATION,
        ATTEMPTS,
        STEP_SECONDS,
        SAGAS_OPEN,
        OLDEST_OPEN,
        STUCK,
        UNDO_FAILED,
        WAITING_FOR_SIGNAL,
        DEAD_LETTERS,
        OUTBOX_DEPTH,
        OUTBOX_OLDEST,
        HELD,
        HOOKS_GIVEN_UP,
        OVERDUE,
        WORKERS,
        WORKER_HEARTBEAT,
        SWEEPERS,
        SWEEPER_HEARTBEAT,
        UP,
        SCRAPE_SECONDS,
    )
}
