"""What the machine asks the world to do; carried out with, or right after, the commit of the facts."""

from __future__ import annotations

from dataclasses import dataclass

from saga_celery.core.retry import Retry
from saga_celery.core.states import Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Render:
    """Let the saga's code make the message of an activity; answered by `Rendered` and its kin."""

    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderResult:
    """Let the saga's code make the result of the saga; answered by `ResultRendered`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send the stored message of an activity, and watch that it starts."""

    slot: Slot
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A worker runs the attempt: from now on its lease counts."""

    slot: Slot
    attempt: int
    epoch: int
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """Wake the activity later with `RestOver`.

    The time is `seconds` where given, else what `retry` says after `tries` attempts.
    """

    slot: Slot
    attempt: int
    tries: int = 0
    retry: Retry | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """Nothing is awaited from this activity any more."""

    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class StartChild:
    """Start the child saga that the message of an activity stands for; its end is answered by `ChildEnded`."""

    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnChild:
    """Tell the child saga of an activity to turn round; its end is answered by `ChildEnded`."""

    slot: Slot
    reason: str
    undo: bool
    """Also when it was completed; else its completion stands, as its parent has been told of it."""


Command = Render | RenderResult | Send | Watch | Rest | Settle | StartChild | TurnChild
