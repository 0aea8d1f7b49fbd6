"""What became of a task's body, as news."""

from __future__ import annotations

from typing import Any

from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded, TimeLimitExceeded

from saga_celery.core.events import AttemptFailed, AttemptLost
from saga_celery.core.states import Slot
from saga_celery.engine.failures import failure_named, failure_of
from saga_celery.errors import LONGEST_REST, PayloadUnreadable, RetryAfter
from saga_celery.transport.reports import Outcome

REPLACED = (
    "a task of a saga's step must not replace() itself or raise Ignore, as nobody would learn the outcome: "
    "start a child saga, or call the other task's function"
)
REJECTED = "the task rejected its own message"


def outcome_of(error: Exception, slot: Slot, attempt: int, *, ran: float | None = None) -> Outcome | None:
    """The news of an exception that left the task's body.

    Args:
        error: what it raised; `Retry` is no outcome and is dealt with elsewhere.
        slot: the activity.
        attempt: its attempt.
        ran: seconds that the body ran.

    Returns:
        The news; None when the same message comes again.
    """
    match error:
        case Retry():
            return None
        case Reject() if error.requeue:  # type: ignore[attr-defined,unused-ignore]
            return None
        case Reject():
            return AttemptLost(slot=slot, attempt=attempt, reason=REJECTED)
        case Ignore():
            failure = failure_named("TaskReplaced", REPLACED, step=slot.step)
            return AttemptFailed(slot=slot, attempt=attempt, failure=failure, took_effect=True, ran=ran)
        case SoftTimeLimitExceeded() | TimeLimitExceeded():
            return AttemptLost(slot=slot, attempt=attempt, reason=f"the task's time limit was exceeded: {error!r}")
    if getattr(error, "saga_outcome_unknown", False):
        return AttemptLost(slot=slot, attempt=attempt, reason=str(error))
    return failed(error, slot, attempt, ran=ran)


def failed(error: Exception, slot: Slot, attempt: int, *, ran: float | None = None) -> AttemptFailed:
    """The news of an exception that says that the attempt took no effect, with the rest that it asks for.

    Args:
        error: what the body raised.
        slot: the activity.
        attempt: its attempt.
        ran: seconds that the body ran.
    """
    return AttemptFailed(
        slot=slot,
        attempt=attempt,
        failure=failure_of(error, step=slot.step),
        retry_after=_asked_rest(error),
        counts=not isinstance(error, RetryAfter) or error.counts,
        parks=isinstance(error, PayloadUnreadable),
        ran=ran,
    )


def _asked_rest(error: Exception) -> float | None:
    seconds: Any = getattr(error, "retry_after", None)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST_REST:
        return None
    return float(seconds)


def own_rest(again: Retry, now: Any) -> float:
    """Seconds until a task that called `retry()` runs again.

    Args:
        again: what it raised.
        now: the app's own idea of the time, for a retry with `eta`.
    """
    when: Any = again.when
    if isinstance(when, int | float):
        return max(float(when), 0.0)
    return max(float((when - now).total_seconds()), 0.0) if when is not None else 0.0
