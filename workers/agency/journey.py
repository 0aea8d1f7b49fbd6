"""How far the saga of a booking has come, as its page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import select

from saga_celery import SagaStatus
from saga_celery.core.states import StepState, StepStatus, TurnKind
from saga_celery.definition.desk import Snapshot
from workers.agency.database import db
from workers.agency.models import Booking, Note
from workers.agency.sagas import TripSaga

STEPS: Mapping[str, str] = {
    "flight": "Flight",
    "hotel": "Hotel",
    "approval": "Approval by an agent",
    "payment": "Payment",
    "tickets": "Tickets",
}
"""As the class names them, and as people do."""

HEADLINES: Mapping[SagaStatus, str] = {
    SagaStatus.PENDING: "We begin at once",
    SagaStatus.RUNNING: "We are booking your trip",
    SagaStatus.COMPENSATING: "We are cancelling what was booked",
    SagaStatus.COMPLETED: "Have a good trip",
    SagaStatus.COMPENSATED: "Everything was cancelled; you pay nothing",
    SagaStatus.FAILED: "Our staff is looking into it",
}

WORDS: Mapping[StepStatus, tuple[str, str]] = {
    StepStatus.SCHEDULED: ("busy", "under way"),
    StepStatus.DISPATCHED: ("busy", "under way"),
    StepStatus.BACKING_OFF: ("busy", "will be tried again"),
    StepStatus.AWAITING: ("waits", "waits for an agent"),
    StepStatus.SUCCEEDED: ("done", "done"),
    StepStatus.SKIPPED: ("done", "not needed"),
    StepStatus.FAILED: ("wrong", "refused"),
    StepStatus.CANCELLED: ("undone", "called off"),
    StepStatus.COMPENSATION_SCHEDULED: ("undoing", "being cancelled"),
    StepStatus.COMPENSATING: ("undoing", "being cancelled"),
    StepStatus.COMPENSATION_BACKING_OFF: ("undoing", "cancelling will be tried again"),
    StepStatus.COMPENSATED: ("undone", "cancelled"),
}
TO_COME = ("later", "to come")
NEVER = ("later", "never begun")
UNUSUAL = ("wrong", "our staff is looking into it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step."""

    name: str
    title: str
    look: str
    """For the style sheet."""
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """All that the page shows, and plain JSON."""

    state: str
    headline: str
    ended: bool
    suspended: bool
    awaits_approval: bool
    cause: str | None
    stages: tuple[Stage, ...]
    diary: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """For `jsonify`."""
        return asdict(self)


def journey_of(booking: Booking) -> Journey:
    """Look at a booking's saga and diary now."""
    seen = TripSaga.get(str(booking.saga_id)).snapshot()
    steps = {name: seen.steps.get((name, 0)) for name in STEPS}
    approval = steps["approval"]
    return Journey(
        state=seen.state.value,
        headline=HEADLINES[seen.state],
        ended=seen.state.ended,
        suspended=seen.suspended,
        awaits_approval=approval is not None and approval.status is StepStatus.AWAITING and seen.turn is None,
        cause=_cause(seen),
        stages=tuple(
            _stage(name, step, not_begun=TO_COME if seen.turn is None else NEVER) for name, step in steps.items()
        ),
        diary=tuple(db.session.scalars(select(Note.text).filter_by(booking_id=booking.id).order_by(Note.id))),
    )


def _stage(name: str, step: StepState | None, *, not_begun: tuple[str, str]) -> Stage:
    look, words = not_begun if step is None else WORDS.get(step.status, UNUSUAL)
    return Stage(name=name, title=STEPS[name], look=look, words=words)


def _cause(seen: Snapshot) -> str | None:
    """Why it was turned round, in words for a customer: not the name of an exception."""
    if seen.turn is None:
        return None
    if seen.turn.kind is TurnKind.FAILURE and seen.failure is not None:
        return seen.failure.message
    return seen.turn.reason or "it took too long"
