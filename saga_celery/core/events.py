"""What happens to a saga: first what is reported to the machine, then what the machine records.

*News* come from outside (a worker, a timer, an operator, the saga's own rendering code) and may be late, doubled or
wrong. *Facts* are what the machine makes of them; they alone change the state, and the history consists of nothing
else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from saga_celery.core.states import (
    DeadLetter,
    Failure,
    Message,
    Policy,
    SagaStatus,
    Slot,
    Turn,
)

# ---------------------------------------------------------------------------------------------------------------- news


@dataclass(frozen=True, slots=True, kw_only=True)
class Nudged:
    """Somebody asks to look whether the saga can move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """The saga's code made the message of an activity."""

    slot: Slot
    message: Message | None
    """None: the code answered SKIP, there is nothing to run."""
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitRendered:
    """The saga's code says how long a step waits; there is nobody to be asked."""

    slot: Slot
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOutRendered:
    """The saga's code made a list of messages: one for each item of a fan-out."""

    slot: Slot
    messages: tuple[Message, ...]
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderAborted:
    """The saga's code raised `Abort` instead of making a message."""

    slot: Slot
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderFailed:
    """The saga's code raised. `slot` is None when it was the saga's result that could not be made."""

    slot: Slot | None
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRendered:
    """The saga's code made the result of the whole saga."""

    result: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted:
    """A worker has a message in its hands and asks (or, without a database, tells) that it begins."""

    slot: Slot
    attempt: int
    worker: str
    rival_alive: bool = False
    """The worker that claimed this attempt before still lives and runs it."""
    own_retry: bool = False
    """The task put itself back into the queue (Celery's `retry()`): the same attempt goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSucceeded:
    """An activity took effect."""

    slot: Slot
    attempt: int
    result: Any = None
    ran: float | None = field(default=None, compare=False)
    """Seconds that it ran, by the clock of its worker; None: nobody measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed:
    """An activity raised."""

    slot: Slot
    attempt: int
    failure: Failure
    took_effect: bool = False
    """The body returned, but what it returned can not be stored."""
    retry_after: float | None = None
    """Seconds that the task itself asked to rest."""
    counts: bool = True
    """False: with that rest it asked for an attempt that uses up none."""
    parks: bool = False
    """The body never ran, as its message can not be read: no retry mends that, and no reason to turn round is it."""
    ran: float | None = field(default=None, compare=False)
    """Seconds that it ran, by the clock of its worker; None: nobody measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLost:
    """An attempt ended without an outcome: its time ran out, or its worker died."""

    slot: Slot
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestOver:
    """The rest of an activity before its next attempt is over."""

    slot: Slot


class Verdict(StrEnum):
    """What a probe found out."""

    FOUND = "found"
    NEVER = "never"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeAnswered:
    """A probe came back."""

    slot: Slot
    attempt: int
    verdict: Verdict
    result: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSent:
    """Somebody outside answers a wait, which may be long over or still to come."""

    wait: str
    event_id: str
    payload: Any = None
    actor: str = ""
    formerly: tuple[str, ...] = ()
    """Names that the wait had before, one of which it may have in the plan of this saga."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnded:
    """A child saga was completed, or is undone."""

    slot: Slot
    """The activity of the parent that waits for it."""
    status: SagaStatus
    result: Any = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentTurned:
    """The saga's parent turns round, and takes it along."""

    reason: str
    undo: bool = False
    """The parent knows that this saga was completed, and undoes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlinePassed:
    """The time of the whole saga ran out."""


class Verb(StrEnum):
    """What an operator may ask for."""

    CANCEL = "cancel"
    RETRY = "retry"
    SKIP = "skip"
    RESOLVE = "resolve"
    SUSPEND = "suspend"
    RESUME = "resume"
    COMPENSATE = "compensate"
    RERUN = "rerun"


class Resolution(StrEnum):
    """What an operator says about an activity in doubt."""

    DONE = "done"
    """It took effect; its result is supplied."""
    NEVER = "never"
    """It took no effect and never will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAsked:
    """A person asks for a verb."""

    verb: Verb
    actor: str
    reason: str
    step: str = ""
    """Empty: every dead letter of the saga."""
    resolution: Resolution | None = None
    result: Any = None
    version: int | None = None
    """The transition that the person saw last; refused when the saga has moved since. None: whatever it is now."""
    args: tuple[Any, ...] | None = None
    """RETRY: the positional arguments to run with; None: as they are."""
    kwargs: Mapping[str, Any] | None = None
    """RETRY: the named arguments to change; the others stay as they are."""


News = (
    Nudged
    | Rendered
    | WaitRendered
    | FanOutRendered
    | RenderAborted
    | RenderFailed
    | ResultRendered
    | AttemptStarted
    | AttemptSucceeded
    | AttemptFailed
    | AttemptLost
    | RestOver
    | ProbeAnswered
    | EventSent
    | ChildEnded
    | ParentTurned
    | DeadlinePassed
    | OperatorAsked
)

Posted = EventSent | ChildEnded | ParentTurned | OperatorAsked
"""News that are left in a saga's inbox, within whatever transaction their sender has open."""
POSTED: Mapping[str, type[Any]] = {kind.__name__: kind for kind in Posted.__args__}
"""Every kind of them by its name, as the inbox spells it."""

# --------------------------------------------------------------------------------------------------------------- facts


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaStarted:
    """The coordinator took the saga up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaTurned:
    """The saga will go backward as soon as nothing is in flight."""

    turn: Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDropped:
    """The pivot succeeded after the saga had been told to turn round: it goes forward all the same."""

    turn: Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaCompensating:
    """The saga goes backward."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaCompensated:
    """Everything that took effect is undone."""

    waived: tuple[str, ...] = ()
    """But not these steps, whose compensation a person passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaCompleted:
    """Every step is done."""

    result: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaParked:
    """The saga can not go on by itself."""

    letter: DeadLetter


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaUnparked:
    """A dead letter is settled."""

    letter: DeadLetter
    to: SagaStatus
    """Where the saga stands now; still FAILED when another dead letter is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectAfterEnd:
    """An action took effect although its saga had ended."""

    letter: DeadLetter


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterDismissed:
    """An operator took care of an effect after the end."""

    letter: DeadLetter


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaOverdue:
    """The deadline passed behind the pivot; the saga goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaSuspended:
    """From now on outcomes are recorded and nothing is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaResumed:
    """The saga goes on; what was due meanwhile is due now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaRerun:
    """An operator lets a saga that had ended, or is parked, run again from a step on."""

    from_step: str
    generation: int
    """In which that step runs now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorActed:
    """A person's verb was accepted."""

    verb: Verb
    actor: str
    reason: str
    step: str = ""
    resolution: Resolution | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventKept:
    """An event came before its wait, and is kept for it."""

    wait: str
    event_id: str
    payload: Any = None
    actor: str = ""
    generation: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsIgnored:
    """Late or doubled news that change nothing, kept for whoever reads the history."""

    slot: Slot
    attempt: int
    note: str
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepScheduled:
    """The turn of a step has come."""

    slot: Slot
    order: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFannedOut:
    """The step became a list of items, each of which follows in a fact of its own."""

    slot: Slot
    items: int
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemQueued:
    """An item of a fan-out has its message and waits for its turn."""

    slot: Slot
    order: int
    message: Message
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOutUndone:
    """Nothing stands any more of what the items of a fan-out did."""

    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityRendered:
    """The message of an activity is made and stored."""

    slot: Slot
    message: Message | None
    policy: Policy
    waived_by: str = ""
    """The person who passed over the compensation, whose message could not be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSkipped:
    """A step is passed over."""

    slot: Slot
    result: Any = None
    by: str = "saga"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDispatched:
    """An attempt of the action goes out."""

    slot: Slot
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAwaiting:
    """The step waits: for an event, for a time, or for its child saga."""

    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptClaimed:
    """A worker took an attempt; `attempt` is a new one when it took over from a dead worker."""

    slot: Slot
    attempt: int
    epoch: int
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded:
    """An attempt ended without success; `lost` when nobody knows whether it took effect."""

    slot: Slot
    attempt: int
    failure: Failure
    lost: bool = False
    counted: bool = True
    """False: it uses up no attempt."""
    ran: float | None = field(default=None, compare=False)
    """Seconds that it ran, by the clock of its worker; None: nobody measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryScheduled:
    """The action rests before its next attempt."""

    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeScheduled:
    """The probe will be asked."""

    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeDispatched:
    """The probe goes out."""

    slot: Slot
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectRuledOut:
    """The probe found, twice, that the action took no effect; `attempt` is the probe's."""

    slot: Slot
    attempt: int


WORKER = "worker"
"""By whom an outcome is known that was reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSucceeded:
    """The action took effect."""

    slot: Slot
    attempt: int
    result: Any = None
    late: bool = False
    by: str = WORKER
    ran: float | None = field(default=None, compare=False)
    """Seconds that it ran, by the clock of its worker; None: nobody measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectRepeated:
    """Another attempt took effect than the one that is known; the saga can undo only one."""

    slot: Slot
    attempt: int
    result: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed:
    """The action failed for good and took no effect."""

    slot: Slot
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class StepGivenUp:
    """The action may have taken effect; its compensation, where it has one, will run without a result."""

    slot: Slot
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCancelled:
    """The step had not begun when the saga turned round."""

    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class StepInDoubt:
    """Nobody knows whether the action took effect."""

    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class StepExhausted:
    """The action used up its attempts behind the pivot."""

    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationScheduled:
    """The turn of a compensation has come, and its message has yet to be rendered."""

    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationDispatched:
    """An attempt of the compensation goes out."""

    slot: Slot
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationRetryScheduled:
    """The compensation rests before its next attempt."""

    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCompensated:
    """The effect of the step is undone."""

    slot: Slot
    attempt: int
    by: str = "worker"
    ran: float | None = field(default=None, compare=False)
    """Seconds that it ran, by the clock of its worker; None: nobody measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationExhausted:
    """The compensation failed for good."""

    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationInDoubt:
    """Nobody knows whether the compensation took effect, and it must not run twice."""

    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationSkipped:
    """There is nothing to undo: the saga's code or an operator said so."""

    slot: Slot
    by: str = "saga"
    waived: bool = False
    """A person said so: whatever the step did stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultReplaced:
    """An operator put another result in the place of one that does not fit those who take it."""

    slot: Slot
    result: Any = None
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReopened:
    """The step will run again in the generation of `slot`."""

    slot: Slot
    heard: bool = True
    """False: the generation before it never told of a success, so one that is told late is news."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputEdited:
    """An operator changed the arguments of an activity; they hold for the generation of `slot`."""

    slot: Slot
    before: Message
    after: Message
    changed: tuple[str, ...] = ()
    """Names of the arguments that differ; what is shown may hide by how much."""


StepFact = (
    StepScheduled
    | StepFannedOut
    | ItemQueued
    | FanOutUndone
    | ActivityRendered
    | StepSkipped
    | StepDispatched
    | StepAwaiting
    | AttemptClaimed
    | AttemptEnded
    | RetryScheduled
    | ProbeScheduled
    | ProbeDispatched
    | EffectRuledOut
    | StepSucceeded
    | EffectRepeated
    | StepFailed
    | StepGivenUp
    | StepCancelled
    | StepInDoubt
    | StepExhausted
    | CompensationScheduled
    | CompensationDispatched
    | CompensationRetryScheduled
    | StepCompensated
    | CompensationExhausted
    | CompensationInDoubt
    | CompensationSkipped
    | StepReopened
    | InputEdited
    | ResultReplaced
)
SagaFact = (
    SagaStarted
    | SagaTurned
    | TurnDropped
    | SagaCompensating
    | SagaCompensated
    | SagaCompleted
    | SagaParked
    | SagaUnparked
    | EffectAfterEnd
    | LetterDismissed
    | SagaOverdue
    | SagaSuspended
    | SagaResumed
    | SagaRerun
    | OperatorActed
    | EventKept
    | NewsIgnored
)
Fact = StepFact | SagaFact

FACTS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in (*StepFact.__args__, *SagaFact.__args__)}
"""Every kind of fact by its name, as the history spells it."""
