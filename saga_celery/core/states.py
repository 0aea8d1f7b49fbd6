"""What the machine knows of one saga: its status, its steps, and how far each activity of a step got."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from saga_celery.core.retry import Retry


class SagaStatus(StrEnum):
    """Where a saga stands. The last three are ends; `FAILED` is one that an operator can leave again."""

    PENDING = "PENDING"
    """Stored, nothing was done yet."""
    RUNNING = "RUNNING"
    """Goes forward."""
    COMPENSATING = "COMPENSATING"
    """Goes backward: what took effect is being undone."""
    COMPLETED = "COMPLETED"
    """Every step was done."""
    COMPENSATED = "COMPENSATED"
    """Everything that took effect was undone."""
    FAILED = "FAILED"
    """It could end in neither direction and waits in the dead letters."""

    @property
    def ended(self) -> bool:
        """True when nothing more happens on its own."""
        return self in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.FAILED)


class StepStatus(StrEnum):
    """Where one step stands, in both directions."""

    SCHEDULED = "scheduled"
    """Its turn has come; the message is not rendered yet."""
    FANNED_OUT = "fanned_out"
    """It became a list of items; it stands as they stand."""
    QUEUED = "queued"
    """An item whose message is stored; it goes out when fewer of its siblings are under way."""
    DISPATCHED = "dispatched"
    """The action is out."""
    BACKING_OFF = "backing_off"
    """The action rests before its next attempt."""
    PROBING = "probing"
    """The outcome is unknown and is being asked for."""
    AWAITING = "awaiting"
    """Waits for news from outside, or for a child saga."""
    SUCCEEDED = "succeeded"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    """Its turn had come, but the saga turned round before it began."""
    FAILED = "failed"
    """The action failed and took no effect."""
    EXHAUSTED = "exhausted"
    """Parked: all attempts were used up behind the pivot."""
    GIVEN_UP = "given_up"
    """It may have taken effect; its compensation, where it has one, bears that and has yet to run."""
    IN_DOUBT = "in_doubt"
    """Parked: nobody knows whether the action took effect."""
    COMPENSATION_SCHEDULED = "compensation_scheduled"
    COMPENSATING = "compensating"
    COMPENSATION_BACKING_OFF = "compensation_backing_off"
    COMPENSATED = "compensated"
    COMPENSATION_EXHAUSTED = "compensation_exhausted"
    """Parked: the compensation failed for good."""
    COMPENSATION_IN_DOUBT = "compensation_in_doubt"
    """Parked: nobody knows whether the compensation took effect, and it must not run twice."""
    COMPENSATION_SKIPPED = "compensation_skipped"
    """An operator said that there is nothing left to undo."""
    REOPENED = "reopened"
    """To be run again, as a new generation, once its turn has come."""


class Direction(StrEnum):
    """Which activity of a step is meant."""

    ACTION = "action"
    COMPENSATION = "compensation"
    PROBE = "probe"


class Slot(NamedTuple):
    """Address of an activity: what its idempotency key and its barrier row are made of.

    `item` is 0 for the step itself, 1 and up for the items of a fan-out. A new `generation` is opened when an
    activity that was settled is run again on purpose.
    """

    step: str
    item: int = 0
    direction: Direction = Direction.ACTION
    generation: int = 1


class Reason(StrEnum):
    """Why something waits in the dead letters."""

    RENDER_FAILED = "render_failed"
    """The saga's own code raised while it made the next message."""
    EXHAUSTED = "exhausted"
    """A step behind the pivot used up its attempts."""
    COMPENSATION_EXHAUSTED = "compensation_exhausted"
    """A compensation used up its attempts."""
    IN_DOUBT = "in_doubt"
    """An activity ended without an outcome and can neither be asked nor repeated."""
    LATE_EFFECT = "late_effect"
    """An action took effect after its saga had ended."""


NEXT_MOVES: Mapping[Reason, tuple[str, ...]] = {
    Reason.RENDER_FAILED: ("retry", "skip", "cancel"),
    Reason.EXHAUSTED: ("retry", "skip"),
    Reason.COMPENSATION_EXHAUSTED: ("retry", "skip"),
    Reason.IN_DOUBT: ("resolve", "retry", "skip"),
    Reason.LATE_EFFECT: ("resolve",),
}
"""The operator's verbs that settle a dead letter, the likeliest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A rendered Celery message, plain JSON throughout; it is stored before it is sent and never rendered again."""

    task: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    """What `apply_async` takes: queue, routing_key, priority …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is stored with a message about how to treat its attempts."""

    retry: Retry = field(default_factory=Retry)
    timeout: float = 300.0
    """Seconds from the start of a run after which its outcome counts as unknown."""
    queue_grace: float = 30.0
    """Seconds between dispatch and start after which a message is taken for lost; doubled at each resend."""
    settle_delay: float = 5.0
    """Seconds between the end of a lease and the first question to the probe."""
    resend: bool = False
    """Safe to run twice: it carries its key, runs behind a barrier, or is idempotent by declaration."""
    null_safe: bool = False
    """The compensation may run without a result, also when the action never took effect."""
    needs_result: bool = True
    """The compensation takes the action's result."""
    probe: bool = False
    """There is a probe to ask when the outcome is unknown."""
    fatal: tuple[str, ...] = ()
    """Names of exception types that no retry can mend."""
    wait: float | None = None
    """Seconds that a step waits: for an event at most, or for nothing but the time."""
    skippable: bool = False
    """A wait that nobody answered in time is passed over."""
    limit: int | None = None
    """How many items of a fan-out may be under way at once, in either direction; None: all."""
    run_on: bool | None = None
    """The process that would send it may run it itself, right away; None: as the app's setting says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What went wrong, as data."""

    type: str
    """Dotted name of the exception type."""
    message: str = ""
    types: tuple[str, ...] = ()
    """Dotted and bare names of the type and its ancestors; what `fatal` is matched against."""
    traceback: str = ""
    step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One direction of a step: its stored message and how far its attempts got."""

    generation: int = 1
    message: Message | None = None
    """None: not rendered yet, or there is nothing to run."""
    policy: Policy = field(default_factory=Policy)
    attempt: int = 0
    """Number of the latest attempt; it only grows."""
    tries: int = 0
    """Attempts used up since an operator last gave new ones."""
    epoch: int = 0
    """Raised at each claim of an attempt; what fences a copy that came back from the dead."""
    worker: str = ""
    """Who claimed the latest attempt."""
    lost: bool = False
    """An attempt ended without an outcome, and none since answered for it."""
    void: bool = False
    """Rendered to SKIP: there is nothing to run."""
    waived_by: str = ""
    """The person who passed over a compensation: what it would have undone stays."""
    failure: Failure | None = None
    """What the latest attempt that did not succeed ended with."""
    heard: tuple[int, ...] = ()
    """Attempts that told of their success: of an activity that is not safe to run twice each one is another effect."""
    unheard: tuple[int, ...] = ()
    """Earlier generations that ended without a success that anybody heard of: one that comes now is news."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """One step of one saga, or one item of a fan-out."""

    name: str
    item: int = 0
    status: StepStatus
    order: int = 0
    """Position in the order of starts."""
    action: Activity = field(default_factory=Activity)
    compensation: Activity | None = None
    probe: Activity | None = None
    result: Any = None
    items: int | None = None
    """How many items a fan-out has; None: it is none, or not one yet."""

    @property
    def undo_is_rendered(self) -> bool:
        """The message that undoes it is stored, or it is known that there is nothing to run."""
        return self.compensation is not None and (self.compensation.message is not None or self.compensation.void)

    def activity(self, direction: Direction) -> Activity:
        """The activity of one direction; a fresh one where none was rendered yet."""
        if direction is Direction.ACTION:
            return self.action
        found = self.compensation if direction is Direction.COMPENSATION else self.probe
        return found or Activity(generation=self.action.generation)

    def slot(self, direction: Direction) -> Slot:
        """Address of the current generation of an activity."""
        return Slot(self.name, self.item, direction, self.activity(direction).generation)


class TurnKind(StrEnum):
    """Why a saga turns round."""

    FAILURE = "failure"
    ABORT = "abort"
    CANCEL = "cancel"
    DEADLINE = "deadline"
    REQUEST = "request"
    """The saga was complete, and somebody wants it undone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A decision to go backward; it waits until the outcome of every step in flight is known."""

    kind: TurnKind
    reason: str = ""
    step: str = ""
    item: int = 0
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """Something that waits for an operator."""

    step: str
    item: int = 0
    direction: Direction = Direction.ACTION
    generation: int = 1
    attempt: int = 0
    """Which attempt took effect too late, where each would be another effect."""
    reason: Reason
    detail: str = ""
    result: Any = None
    """What a late effect brought."""

    @property
    def slot(self) -> Slot:
        """What it is about."""
        return Slot(self.step, self.item, self.direction, self.generation)

    @property
    def key(self) -> tuple[Slot, int]:
        """What there is at most one dead letter for."""
        return self.slot, self.attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """An event that came before its wait."""

    wait: str
    event_id: str
    payload: Any = None
    actor: str = ""
    generation: int = 1
    """Of the wait that it answers: one that is waited for anew is not answered by what came for an earlier one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The saga, and the activity of it, that a child saga belongs to."""

    id: str
    step: str
    item: int = 0
    generation: int = 1

    @property
    def slot(self) -> Slot:
        """The parent's activity that waits for the child."""
        return Slot(self.step, self.item, Direction.ACTION, self.generation)


def step_label(step: str, item: int = 0) -> str:
    """How people name a step, or an item of a fan-out: `charge`, `reserve[2]`."""
    return f"{step}[{item}]" if item else step


StepKey = tuple[str, int]
"""Name of a step and number of its item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaState:
    """Everything that `decide` may look at."""

    id: str
    name: str
    plan_hash: str
    status: SagaStatus = SagaStatus.PENDING
    version: int = 0
    """Raised by one with each transition that is stored; the guard of every write."""
    input: Any = None
    result: Any = None
    steps: Mapping[StepKey, StepState] = field(default_factory=dict)
    turn: Turn | None = None
    """Why the saga turned round, or is about to; the first cause stays."""
    parked_from: SagaStatus | None = None
    """Where a parked saga goes on."""
    letters: tuple[DeadLetter, ...] = ()
    suspended: bool = False
    """Outcomes are recorded, nothing is sent."""
    overdue: bool = False
    """The deadline passed behind the pivot."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Trace and correlation headers of the start; they travel with every message and steer nothing."""
    mail: tuple[Mail, ...] = ()
    """Events that came before their waits; of each wait the first one counts."""
    parent: Parent | None = None
    """Whose child the saga is."""
    priority: int | None = None
    """Passed on to the broker with every message; steers nothing here."""
    gated: bool = False
    """It was started on terms, such as a lock; the engine sees to them."""

    def step(self, name: str, item: int = 0) -> StepState | None:
        """The state of a step; None while its turn has not come."""
        return self.steps.get((name, item))

    def mail_for(self, wait: str, generation: int) -> Mail | None:
        """The first event that came for a generation of a wait before its turn."""
        found = (mail for mail in self.mail if (mail.wait, mail.generation) == (wait, generation))
        return next(found, None)

    def letter_for(self, step: str, item: int, direction: Direction) -> DeadLetter | None:
        """The dead letter about where an activity stands, if there is one; effects that came late stand beside that."""
        for letter in self.letters:
            where = (letter.step, letter.item, letter.direction)
            if where == (step, item, direction) and letter.reason is not Reason.LATE_EFFECT:
                return letter
        return None

    def has_letter(self, letter: DeadLetter) -> bool:
        """Tell whether this is known: of an activity there is one letter, and one for each effect that came late."""
        if letter.reason is Reason.LATE_EFFECT:
            return any(known.key == letter.key for known in self.letters if known.reason is letter.reason)
        return self.letter_for(letter.step, letter.item, letter.direction) is not None
