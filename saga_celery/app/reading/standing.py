"""What a saga waits for before it begins: in a sentence, and as JSON."""

from __future__ import annotations

from datetime import datetime

from saga_celery.app.reading.durations import spoken
from saga_celery.app.reading.excerpt import excerpt
from saga_celery.app.reading.plain import iso
from saga_celery.core.states import SagaStatus
from saga_celery.engine.admission import Standing, WaitsFor


def sentence(standing: Standing, now: datetime) -> str:
    """What a saga waits for, on one line."""
    match standing.waits_for:
        case WaitsFor.TIME if standing.starts_at is not None:
            return f"starts at {iso(standing.starts_at)}, in {spoken((standing.starts_at - now).total_seconds())}"
        case WaitsFor.LOCK:
            return f"queued behind {standing.behind}{_why(standing)}; number {standing.position} in the queue"
        case WaitsFor.PLACE:
            return f"queued: {standing.limit} under way, which is the limit; number {standing.position} in the queue"
        case _:
            return "begins as soon as a coordinator takes it up"


def _why(standing: Standing) -> str:
    lock = f"lock {excerpt(standing.lock or '', 40)!r}"
    if standing.behind_state is SagaStatus.FAILED:
        return f", which waits for a person and keeps {lock} until it is settled"
    return f" for {lock}"


def record(standing: Standing | None) -> dict[str, object] | None:
    """The same as JSON; null for a saga that has begun."""
    if standing is None:
        return None
    return {
        "waits_for": standing.waits_for,
        "behind": standing.behind,
        "behind_state": standing.behind_state,
        "position": standing.position or None,
        "limit": standing.limit,
    }
