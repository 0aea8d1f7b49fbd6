"""Every failure that this library raises on purpose.

    SagaError                         catch this one to catch them all; `.code` is stable, `.retryable` says what to do
    ├─ DefinitionError (ValueError)   at import: a saga class that can not work, with the class, the method and the fix
    ├─ NotConfigured                  a setting or a line is missing; says which one and where it goes
    ├─ InputRejected (ValueError)     the input or payload of a saga does not fit; nothing was stored
    ├─ UnknownSaga (LookupError)      no saga definition has this name here
    ├─ SagaNotFound (LookupError)     no saga with this id or key in this database
    ├─ KeyConflict                    the key belongs to a saga that was started with another input; names it
    ├─ EventConflict                  the event id belongs to an event with another content
    ├─ AlreadyStarted                 `if_exists="raise"` and the key is taken; names the saga that has it
    ├─ Locked                         `if_locked="raise"` and another saga has the lock; names it (retryable)
    ├─ Refused                        an operator's verb that the saga's state does not allow; names what it does
    │  └─ StaleVersion                … or that was asked of a version that is no more
    ├─ SagaUnfinished                 `wait()` or `result()` ran out of time, or was called before the commit
    ├─ SagaUnsuccessful               what `result()` raises for a saga that ended otherwise
    │  ├─ SagaCompensated             … it was undone; carries the first cause, and what was undone
    │  └─ SagaFailed                  … it waits in the dead letters; carries the reasons and the next moves
    ├─ StoreError
    │  ├─ StoreUnavailable            the database does not answer (retryable)
    │  │  └─ PayloadUnavailable       … or the payload store, or what a codec needs (retryable)
    │  ├─ RetryTransaction            the caller's transaction lost a race (retryable: run it again)
    │  └─ SchemaOutOfDate             run `celery -A … saga migrate`
    ├─ PayloadUnreadable              a value that is not kept in the open can not be read; a person has to look
    │  ├─ PayloadMissing              … it was kept apart, and is gone
    │  └─ SealBroken                  … no codec of this process opens it: `saga_codec`, `saga_fernet_keys`
    ├─ TransportError
    │  ├─ MessageNotUnderstood        a broker message that is no message of ours
    │  ├─ PublishFailed               the broker does not take messages (retryable; the sweeper sends it later)
    │  └─ AlertNotDelivered           a webhook did not take an alert (retryable; it is sent again)
    └─ BarrierError                   what a barrier answers other than a result
       ├─ ActionSuppressed            the action came too late; it took no effect and never will
       │  └─ MessageOutOfDate         … this copy of it did, by its date; others may be under way (retryable)
       ├─ StoredFailure               a copy of a message whose first run failed for good: the same failure again
       ├─ SlotForgotten               a compensation whose action's record may have been purged
       ├─ ResultRejected (TypeError)  the result can not be stored as JSON; the effect was rolled back
       ├─ CommitUnknown               the connection broke at the commit and did not come back (retryable)
       └─ BarrierMisused              the code around the barrier breaks its promise

`Abort` is no failure but a decision of a saga's author, and `RetryAfter` one of a task's; so they stand apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

LONGEST_REST = 31_536_000.0
"""Most seconds that a task may ask to rest: a year."""


class SagaError(Exception):
    """Root of the tree.

    Attributes:
        code: stable name for logs and JSON output.
        retryable: True when the same call may succeed later without any change.
    """

    code = "saga_error"
    retryable = False


class DefinitionError(SagaError, ValueError):
    """A saga class that can not work. Raised while its module is imported."""

    code = "definition"


class NotConfigured(SagaError):
    """A setting is missing, unknown or contradicts another one."""

    code = "not_configured"


class InputRejected(SagaError, ValueError):
    """The input does not fit the saga's type, is not plain JSON, or is larger than `saga_payload_limit`."""

    code = "input_rejected"


class UnknownSaga(SagaError, LookupError):
    """No saga definition of this name is registered in this process."""

    code = "unknown_saga"


class SagaNotFound(SagaError, LookupError):
    """No saga has this id or key in this database."""

    code = "not_found"


class _KeyTaken(SagaError):
    """Another saga has the key."""

    def __init__(self, message: str, *, saga_id: str = "") -> None:
        super().__init__(message)
        self.saga_id = saga_id


class KeyConflict(_KeyTaken):
    """The key is taken by a saga with another input.

    Attributes:
        saga_id: the saga that has it.
    """

    code = "key_conflict"


class EventConflict(SagaError):
    """The saga was sent something else under this event id before."""

    code = "event_conflict"


class AlreadyStarted(_KeyTaken):
    """The key is taken, and the caller asked with `if_exists="raise"` to be told so.

    Attributes:
        saga_id: the saga that has it.
    """

    code = "already_started"


class Locked(SagaError):
    """The lock is held, and the caller asked with `if_locked="raise"` to be told so. Nothing was started.

    Args:
        lock: the lock.
        holder: id of the saga that has it, or will have it next.
    """

    code = "locked"
    retryable = True

    def __init__(self, lock: str, holder: str) -> None:
        super().__init__(lock, holder)  # both of them, so that it survives pickling between pool processes
        self.lock = lock
        self.holder = holder

    def __str__(self) -> str:
        return f"lock {self.lock!r} is held by saga {self.holder}; nothing was started"


class Refused(SagaError):
    """The state of the saga does not allow what an operator asked for."""

    code = "refused"


class StaleVersion(Refused):
    """The saga has moved since the version that the operator looked at; nothing was done."""

    code = "stale_version"


class SagaUnfinished(SagaError):
    """The saga has not ended within the time that the caller was willing to wait."""

    code = "unfinished"
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What a saga did not complete for; the first thing that went wrong, not what followed from it."""

    kind: str
    """`failure`, `abort`, `cancel`, `deadline` or `request`; else the reason of its first dead letter."""
    type: str = ""
    """Dotted name of the exception's type; empty where nobody raised one."""
    message: str = ""
    traceback: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoneStep:
    """A step that took effect and was undone."""

    step: str
    item: int = 0
    """Of a fan-out; 0 for the step itself."""
    at: datetime | None = None
    """When, by the database's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedStep:
    """What waits for an operator, and what can be pressed."""

    step: str
    """Empty: the result of the saga."""
    item: int = 0
    direction: str = "action"
    """`action`, `compensation` or `probe`."""
    reason: str = ""
    """The word that the table on the page for operators begins with."""
    detail: str = ""
    attempts: int = 0
    moves: tuple[str, ...] = ()
    """The verbs that settle it, the likeliest first."""


class SagaUnsuccessful(SagaError):
    """The saga ended, but not with a result.

    What it carries is plain JSON, so that it survives pickling as well as Celery's JSON result backends.

    Args:
        message: for people.
        ending: the attributes below, as JSON.

    Attributes:
        saga_id: its id; empty where nothing is known.
        saga_name: its name.
        cause: the first thing that went wrong; None where nothing is known.
        step: where that was; empty for the saga as a whole.
        attempts: how many that step had.
        undone: the steps that were undone, in this order.
        letters: what waits for an operator.
    """

    code = "unsuccessful"

    def __init__(self, message: str, ending: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, ending)
        known = ending or {}
        self.saga_id: str = known.get("saga_id", "")
        self.saga_name: str = known.get("saga_name", "")
        self.cause = Cause(**known["cause"]) if known.get("cause") else None
        self.step: str = known.get("step", "")
        self.attempts: int = known.get("attempts", 0)
        self.undone = tuple(_undone(each) for each in known.get("undone", ()))
        self.letters = tuple(ParkedStep(**{**each, "moves": tuple(each["moves"])}) for each in known.get("letters", ()))

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def next_moves(self) -> tuple[str, ...]:
        """The verbs that settle what waits for an operator, the likeliest first."""
        return tuple(dict.fromkeys(move for letter in self.letters for move in letter.moves))


def _undone(plain: Mapping[str, Any]) -> UndoneStep:
    at = plain.get("at")
    return UndoneStep(step=plain["step"], item=plain["item"], at=datetime.fromisoformat(at) if at else None)


class SagaCompensated(SagaUnsuccessful):
    """The saga was undone."""

    code = "compensated"


class SagaFailed(SagaUnsuccessful):
    """The saga could end in neither direction and waits in the dead letters for an operator."""

    code = "failed"


class StoreError(SagaError):
    """The saga database refused or failed."""

    code = "store"


class StoreUnavailable(StoreError):
    """The saga database does not answer; nothing is lost, the work goes on when it does."""

    code = "store_unavailable"
    retryable = True


class PayloadUnavailable(StoreUnavailable):
    """The payload store, or what a codec needs, does not answer."""

    code = "payload_unavailable"


class RetryTransaction(StoreError):
    """The database gave up the caller's transaction (SQLSTATE 40001/40P01, MariaDB 1213/1205): run it again."""

    code = "retry_transaction"
    retryable = True


class SchemaOutOfDate(StoreError):
    """The tables are missing, older or newer than this release of the library knows."""

    code = "schema_out_of_date"


class PayloadUnreadable(SagaError):
    """A value that is sealed or kept apart can not be read, and no repetition will mend that.

    A step that meets it takes no effect, and its saga is parked: nothing is lost, and `retry` goes on once a person has
    put things right.
    """

    code = "payload_unreadable"
    saga_parks = True


class PayloadMissing(PayloadUnreadable):
    """A value was kept apart, and the payload store does not have it (any more)."""

    code = "payload_missing"


class SealBroken(PayloadUnreadable):
    """A sealed value can not be opened: another key, another codec, or it was changed."""

    code = "seal_broken"


class TransportError(SagaError):
    """The broker, or what came from it, is at fault."""

    code = "transport"


class MessageNotUnderstood(TransportError):
    """A message that can not be one of ours. It is dropped and counted, never retried."""

    code = "message_not_understood"


class PublishFailed(TransportError):
    """The broker did not take a message. The sweeper sends it again."""

    code = "publish_failed"
    retryable = True


class AlertNotDelivered(TransportError):
    """A webhook did not take an alert. It is sent again, as any hook that did not run to its end."""

    code = "alert_not_delivered"
    retryable = True


class BarrierError(SagaError):
    """What a barrier answers other than a result."""

    code = "barrier"


class ActionSuppressed(BarrierError):
    """The action's slot is barred: nothing was done, and this is no success."""

    code = "action_suppressed"


class MessageOutOfDate(ActionSuppressed):
    """The action's message came after its `not_after`: this copy did nothing, but others of its attempt may have."""

    code = "message_out_of_date"
    retryable = True
    saga_outcome_unknown = True
    """Tells whoever reports this exception that it is no failure: a younger copy may be under way."""


class StoredFailure(BarrierError):
    """The failure that the first run of this message ended with.

    Args:
        type: dotted name of the first exception's type.
        message: its text.
        types: names of the type and its ancestors; whoever reports this exception reports these in place of its own.
    """

    code = "stored_failure"

    def __init__(self, type: str, message: str, types: tuple[str, ...] = ()) -> None:
        super().__init__(type, message, types)  # all of them, so that it survives pickling between pool processes
        self.saga_failure_type = type
        self.saga_failure_message = message
        self.saga_failure_types = types

    def __str__(self) -> str:
        return self.saga_failure_message


class SlotForgotten(BarrierError):
    """No record of the action, but it may have been purged: whether there is anything to undo is a person's call."""

    code = "slot_forgotten"


class ResultRejected(BarrierError, TypeError):
    """The result is no JSON, so a copy could not be answered with it. The transaction was rolled back."""

    code = "result_rejected"


class CommitUnknown(BarrierError):
    """Nobody knows whether the transaction was committed. The next attempt finds out: its slot is taken or free."""

    code = "commit_unknown"
    retryable = True
    saga_outcome_unknown = True
    """Tells whoever reports this exception that it is no failure: the effect may be there."""


class BarrierMisused(BarrierError):
    """A transaction that the barrier does not own from its begin to its commit can promise nothing."""

    code = "barrier_misused"


class RetryAfter(Exception):
    """Raised by a task: it took no effect and shall run again later, because the other side asks for time.

    Args:
        seconds: how long to rest, at most a year.
        reason: shown to operators.
        counts: True: the attempt is used up like any that failed. By default it is not, 100 times for each step; the
            saga's own time goes on.

    Raises:
        ValueError: `seconds` is no length of time.
    """

    def __init__(self, seconds: float | timedelta, reason: str = "", counts: bool = False) -> None:
        if isinstance(seconds, timedelta):
            seconds = seconds.total_seconds()
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST_REST:
            raise ValueError(f"RetryAfter({seconds!r}): seconds are a number from 0 to {LONGEST_REST:.0f}, a year")
        super().__init__(seconds, reason, counts)  # all of them, so that it survives pickling between pool processes
        self.retry_after = float(seconds)
        self.reason = reason
        self.counts = counts

    def __str__(self) -> str:
        return self.reason or f"asks to be called again in {self.retry_after:g} s"


class Abort(Exception):
    """Raised by a step method to turn the saga round: what took effect is compensated.

    Args:
        reason: shown to callers and operators as the cause.
    """

    def __init__(self, reason: str = "aborted") -> None:
        super().__init__(reason)
        self.reason = reason
