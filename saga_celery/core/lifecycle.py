"""The law: which fact may change which status into which.

Rule 1: a status changes here and nowhere else. `evolve` looks every fact up in these two tables and refuses what
they do not hold.
Rule 2: the diagrams in docs/lifecycle.md are drawn from these tables (`python -m saga_celery.core.diagram`), so what
the documentation shows is what runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from saga_celery.core import events as e
from saga_celery.core.states import SagaStatus, StepStatus

S = StepStatus

OPEN_ACTION = (S.DISPATCHED, S.BACKING_OFF, S.PROBING)
"""The action is under way, or its outcome is being found out."""
OPEN_COMPENSATION = (S.COMPENSATING, S.COMPENSATION_BACKING_OFF)
PARKED_COMPENSATION = (S.COMPENSATION_EXHAUSTED, S.COMPENSATION_IN_DOUBT)
PARKED_ACTION = (S.EXHAUSTED, S.IN_DOUBT)
GIVEN_UP = (
    S.FAILED,
    S.GIVEN_UP,
    S.SKIPPED,
    S.COMPENSATION_SCHEDULED,
    *OPEN_COMPENSATION,
    *PARKED_COMPENSATION,
    S.COMPENSATED,
    S.COMPENSATION_SKIPPED,
)
"""Nothing is awaited from the action any more; a success that comes now is late news."""
RUNS_AGAIN = (S.FAILED, S.CANCELLED, S.SKIPPED, S.COMPENSATED, S.COMPENSATION_SKIPPED)
"""Nothing stands that the step did, so an operator may let it run again."""
RESULT_STANDS = (S.SUCCEEDED, S.SKIPPED, S.COMPENSATION_SCHEDULED)
"""The step has a result that others may take, and that an operator may put right."""

_STEP_EDGES: tuple[tuple[type[Any], tuple[StepStatus | None, ...], StepStatus], ...] = (
    (e.StepScheduled, (None, S.CANCELLED, *PARKED_ACTION, S.REOPENED), S.SCHEDULED),
    (e.StepFannedOut, (S.SCHEDULED,), S.FANNED_OUT),
    (e.ItemQueued, (None, S.CANCELLED), S.QUEUED),
    (e.FanOutUndone, (S.SUCCEEDED, S.GIVEN_UP), S.COMPENSATED),
    (e.StepSkipped, (S.SCHEDULED, S.AWAITING, *PARKED_ACTION), S.SKIPPED),
    (e.StepDispatched, (S.SCHEDULED, S.QUEUED, S.BACKING_OFF, *PARKED_ACTION), S.DISPATCHED),
    (e.StepAwaiting, (S.SCHEDULED, *OPEN_ACTION, *PARKED_ACTION), S.AWAITING),
    (e.RetryScheduled, (S.SCHEDULED, S.DISPATCHED, S.PROBING, S.BACKING_OFF, *PARKED_ACTION), S.BACKING_OFF),
    (e.ProbeScheduled, (S.DISPATCHED, S.BACKING_OFF), S.PROBING),
    (e.StepSucceeded, (S.FANNED_OUT, *OPEN_ACTION, S.AWAITING, *PARKED_ACTION, *GIVEN_UP), S.SUCCEEDED),
    (e.StepFailed, (*OPEN_ACTION, S.AWAITING, S.IN_DOUBT), S.FAILED),
    (e.StepGivenUp, (S.FANNED_OUT, *OPEN_ACTION), S.GIVEN_UP),
    (e.StepCancelled, (S.SCHEDULED, S.QUEUED, S.AWAITING), S.CANCELLED),
    (e.StepInDoubt, (*OPEN_ACTION, S.GIVEN_UP), S.IN_DOUBT),
    (e.StepExhausted, (S.DISPATCHED, S.PROBING, S.AWAITING, S.FAILED), S.EXHAUSTED),
    (
        e.CompensationScheduled,
        (S.SUCCEEDED, S.GIVEN_UP, S.COMPENSATION_BACKING_OFF, *PARKED_COMPENSATION),
        S.COMPENSATION_SCHEDULED,
    ),
    (
        e.CompensationDispatched,
        (S.SUCCEEDED, S.COMPENSATION_SCHEDULED, S.COMPENSATION_BACKING_OFF, *PARKED_COMPENSATION),
        S.COMPENSATING,
    ),
    (
        e.CompensationRetryScheduled,
        (S.COMPENSATION_SCHEDULED, *OPEN_COMPENSATION, *PARKED_COMPENSATION),
        S.COMPENSATION_BACKING_OFF,
    ),
    (e.StepCompensated, (*OPEN_COMPENSATION, *PARKED_COMPENSATION), S.COMPENSATED),
    (e.CompensationExhausted, (S.COMPENSATING,), S.COMPENSATION_EXHAUSTED),
    (e.CompensationInDoubt, (S.COMPENSATING,), S.COMPENSATION_IN_DOUBT),
    (
        e.CompensationSkipped,
        (S.SUCCEEDED, S.COMPENSATION_SCHEDULED, *PARKED_COMPENSATION),
        S.COMPENSATION_SKIPPED,
    ),
    (e.StepReopened, (S.BACKING_OFF, S.EXHAUSTED, S.SUCCEEDED, *RUNS_AGAIN), S.REOPENED),
)

STEP_TABLE: Mapping[tuple[StepStatus | None, type[Any]], StepStatus] = {
    (before, fact): after for fact, befores, after in _STEP_EDGES for before in befores
}
"""(status of the step, kind of fact) -> status of the step."""

STEP_NOTES: Mapping[type[Any], frozenset[StepStatus]] = {
    e.ActivityRendered: frozenset({S.SCHEDULED, S.SUCCEEDED, S.COMPENSATION_SCHEDULED, S.PROBING}),
    e.AttemptClaimed: frozenset({S.DISPATCHED, S.PROBING, S.COMPENSATING}),
    e.AttemptEnded: frozenset({S.DISPATCHED, S.PROBING, S.COMPENSATING}),
    e.ProbeDispatched: frozenset({S.PROBING}),
    e.EffectRuledOut: frozenset({S.PROBING}),
    e.EffectRepeated: frozenset({S.SUCCEEDED, *GIVEN_UP}),
    e.InputEdited: frozenset({S.SCHEDULED, S.COMPENSATION_SCHEDULED}),
    e.ResultReplaced: frozenset(RESULT_STANDS),
}
"""Facts about a step that leave its status as it is, and the statuses in which they may be recorded."""

_RUNNING, _COMPENSATING = (SagaStatus.RUNNING, SagaStatus.COMPENSATING)
_PARKABLE = (SagaStatus.RUNNING, SagaStatus.COMPENSATING, SagaStatus.FAILED)

_SAGA_EDGES: tuple[tuple[type[Any], tuple[SagaStatus, ...], SagaStatus], ...] = (
    (e.SagaStarted, (SagaStatus.PENDING,), SagaStatus.RUNNING),
    (e.SagaCompensating, (_RUNNING, SagaStatus.COMPLETED), _COMPENSATING),
    (e.SagaCompensated, (SagaStatus.PENDING, _COMPENSATING), SagaStatus.COMPENSATED),
    (e.SagaCompleted, (_RUNNING,), SagaStatus.COMPLETED),
    (e.SagaParked, _PARKABLE, SagaStatus.FAILED),
    (e.SagaRerun, (SagaStatus.COMPENSATED,), _RUNNING),
)

SAGA_TABLE: Mapping[tuple[SagaStatus, type[Any]], SagaStatus] = {
    (before, fact): after for fact, befores, after in _SAGA_EDGES for before in befores
}
"""(status of the saga, kind of fact) -> status of the saga."""

UNPARKED: frozenset[SagaStatus] = frozenset({_RUNNING, _COMPENSATING, SagaStatus.FAILED})
"""Where `SagaUnparked` may lead from FAILED; which one is in the fact."""


def _anywhere(*but: SagaStatus) -> frozenset[SagaStatus]:
    return frozenset(set(SagaStatus) - set(but))


SAGA_NOTES: Mapping[type[Any], frozenset[SagaStatus]] = {
    e.SagaTurned: frozenset({SagaStatus.PENDING, SagaStatus.RUNNING, SagaStatus.COMPLETED, SagaStatus.FAILED}),
    e.TurnDropped: frozenset({SagaStatus.RUNNING, SagaStatus.FAILED}),
    e.SagaOverdue: frozenset({SagaStatus.RUNNING, SagaStatus.FAILED}),
    e.EffectAfterEnd: frozenset({SagaStatus.COMPLETED, SagaStatus.COMPENSATED}),
    e.LetterDismissed: frozenset({SagaStatus.COMPLETED, SagaStatus.COMPENSATED}),
    e.SagaSuspended: _anywhere(SagaStatus.COMPLETED, SagaStatus.COMPENSATED),
    e.SagaResumed: _anywhere(SagaStatus.COMPLETED, SagaStatus.COMPENSATED),
    e.SagaRerun: frozenset({SagaStatus.FAILED}),
    e.OperatorActed: _anywhere(),
    e.EventKept: _anywhere(SagaStatus.COMPLETED, SagaStatus.COMPENSATED),
    e.NewsIgnored: _anywhere(),
}
"""Facts about a saga that leave its status as it is, and the statuses in which they may be recorded."""


def step_edges() -> Iterable[tuple[StepStatus | None, str, StepStatus]]:
    """Every edge of the step diagram: before, name of the fact, after."""
    return [(before, fact.__name__, after) for (before, fact), after in STEP_TABLE.items()]


def saga_edges() -> Iterable[tuple[SagaStatus, str, SagaStatus]]:
    """Every edge of the saga diagram: before, name of the fact, after."""
    edges = [(before, fact.__name__, after) for (before, fact), after in SAGA_TABLE.items()]
    unparked = [(SagaStatus.FAILED, e.SagaUnparked.__name__, to) for to in SagaStatus if to in UNPARKED]
    return edges + unparked
