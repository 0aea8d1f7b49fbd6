"""What has been counted and looked at, as prometheus_client exposes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from saga_celery.contrib.metrics import names as n
from saga_celery.contrib.metrics.gauges import Gauges, alive
from saga_celery.contrib.metrics.tally import Distribution, Labels, Tally
from saga_celery.core.states import SagaStatus
from saga_celery.store.open_sagas import OPEN


def empty(metric: n.Metric) -> Family:
    """A family without samples."""
    match metric.kind:
        case n.Kind.COUNTER:
            return CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        case n.Kind.GAUGE:
            return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
        case n.Kind.HISTOGRAM:
            return HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)


def gauge(metric: n.Metric, value: float) -> Family:
    """A family of one sample without labels."""
    return GaugeMetricFamily(metric.name, metric.help, value=value)


def counted(tally: Tally) -> Iterator[Family]:
    """Counters and histograms."""
    yield _counter(n.STARTED, {(name,): count for name, count in tally.started.items()})
    yield _counter(n.FINISHED, tally.finished)
    yield _histogram(n.DURATION, tally.durations)
    yield _counter(n.ATTEMPTS, tally.attempts)
    yield _histogram(n.STEP_SECONDS, tally.step_seconds)


def looked_at(found: Gauges, sagas: Iterable[str]) -> Iterator[Family]:
    """Gauges; where there is nothing of a saga that is known, that is told, too.

    Args:
        found: what there is.
        sagas: the names of all sagas.
    """
    names = sorted(sagas)
    yield _gauges(
        n.SAGAS_OPEN, {(name, _word(state)): found.open.get((name, state), 0) for name in names for state in OPEN}
    )
    for metric, values in (
        (n.OLDEST_OPEN, found.oldest_open),
        (n.STUCK, found.stuck),
        (n.UNDO_FAILED, found.undo_failed),
        (n.WAITING_FOR_SIGNAL, found.waiting_for_signal),
    ):
        yield _gauges(metric, {(name,): values.get(name, 0) for name in names})
    yield _gauges(n.DEAD_LETTERS, found.dead_letters)
    yield _gauges(n.OUTBOX_DEPTH, {(kind,): count for kind, count in found.outbox.items()})
    yield _gauges(n.OUTBOX_OLDEST, {(kind,): age for kind, age in found.outbox_oldest.items()})
    yield gauge(n.HELD, found.held)
    yield gauge(n.HOOKS_GIVEN_UP, found.hooks_given_up)
    yield gauge(n.OVERDUE, found.overdue)
    yield gauge(n.WORKERS, alive(found.workers))
    yield _youngest(n.WORKER_HEARTBEAT, found.workers)
    yield gauge(n.SWEEPERS, alive(found.sweepers))
    yield _youngest(n.SWEEPER_HEARTBEAT, found.sweepers)


def _word(state: SagaStatus) -> str:
    return state.value.lower()


def _youngest(metric: n.Metric, ages: Iterable[float]) -> Family:
    """No sample where there never was a heartbeat."""
    age = min(ages, default=None)
    return _gauges(metric, {} if age is None else {(): age})


def _counter(metric: n.Metric, values: Mapping[Labels, float]) -> Family:
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family


def _gauges(metric: n.Metric, values: Mapping[Labels, float]) -> Family:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family


def _histogram(metric: n.Metric, values: Mapping[Labels, Distribution]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, found in sorted(values.items()):
        family.add_metric(labels, found.buckets(), found.seconds)
    return family
