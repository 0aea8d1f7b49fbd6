"""What is not counted but looked at: what is open, what waits and for how long, and who lives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from saga_celery.contrib.metrics.tally import Labels
from saga_celery.core.plan import Plan, StepKind
from saga_celery.core.states import SagaStatus
from saga_celery.engine.ports import Awaited
from saga_celery.store.heartbeats import FRESH, sweeps_alone
from saga_celery.store.metering import Heap, Look, Standing, WaitingSteps

STEP, NUDGE, HOOK = "step", "nudge", "hook"
"""What lies in the outbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """The database at one moment."""

    open: Mapping[tuple[str, SagaStatus], int]
    oldest_open: Mapping[str, float]
    stuck: Mapping[str, int]
    undo_failed: Mapping[str, int]
    waiting_for_signal: Mapping[str, int]
    dead_letters: Mapping[Labels, int]
    outbox: Mapping[str, int]
    """How much there is, by kind."""
    outbox_oldest: Mapping[str, float]
    held: int
    hooks_given_up: int
    overdue: float
    workers: Sequence[float]
    """Seconds since the latest heartbeat of each process."""
    sweepers: Sequence[float]
    """The same of those that sweep."""


def gauges(look: Look, opened: Sequence[Standing], *, plan_of: Callable[[str], Plan], workers_sweep: bool) -> Gauges:
    """Look.

    Args:
        look: the database at one moment.
        opened: the sagas that are open.
        plan_of: reads the plan of a hash.
        workers_sweep: whether workers do, besides processes that do nothing else.
    """
    awaited, deliveries, beats = look.awaited(), look.deliveries(), look.heartbeats()
    outbox = {
        STEP: awaited.get(Awaited.START, Heap()),
        NUDGE: awaited.get(Awaited.NUDGE, Heap()),
        HOOK: deliveries,
    }
    return Gauges(
        open=Counter((each.name, each.status) for each in opened),
        oldest_open=_oldest(look, opened),
        stuck=look.stuck(),
        undo_failed=look.undo_failed(),
        waiting_for_signal=_waiting_for_signal(look.waiting(), plan_of),
        dead_letters=look.dead_letters(),
        outbox={kind: heap.count for kind, heap in outbox.items()},
        outbox_oldest={kind: _age(look, heap) for kind, heap in outbox.items()},
        held=awaited.get(Awaited.HELD, Heap()).count,
        hooks_given_up=look.given_up(),
        overdue=look.overdue(),
        workers=list(beats.values()),
        sweepers=[age for worker, age in beats.items() if workers_sweep or sweeps_alone(worker)],
    )


def alive(ages: Sequence[float]) -> int:
    """How many processes have a fresh heartbeat."""
    return sum(age < FRESH for age in ages)


def _oldest(look: Look, opened: Sequence[Standing]) -> dict[str, float]:
    """Those that failed wait for a person, however long that takes; the others should move."""
    ages: dict[str, float] = {}
    for each in opened:
        if each.status is not SagaStatus.FAILED:
            ages[each.name] = max(ages.get(each.name, 0.0), (look.now - each.began).total_seconds())
    return ages


def _waiting_for_signal(found: Sequence[WaitingSteps], plan_of: Callable[[str], Plan]) -> dict[str, int]:
    waiting: Counter[str] = Counter()
    for each in found:
        planned = plan_of(each.plan_hash).by_name.get(each.step)
        if planned is not None and planned.kind is StepKind.WAIT:
            waiting[each.name] += each.count
    return waiting


def _age(look: Look, heap: Heap) -> float:
    return max((look.now - heap.since).total_seconds(), 0.0) if heap.since is not None else 0.0
