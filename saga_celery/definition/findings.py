"""What `@step.found` makes of a probe's answer: the effect was found, never happened, or can not be told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, TypeAlias, TypeVar

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Found(Generic[ResultT]):
    """The step took effect.

    Args:
        result: what the step would have returned; None is a result like any other.
    """

    result: ResultT


class Missing(Enum):
    """Type of `NEVER` and `UNKNOWN`."""

    NEVER = "never"
    UNKNOWN = "unknown"


NEVER: Final = Missing.NEVER
"""The step took no effect."""
UNKNOWN: Final = Missing.UNKNOWN
"""It can not be told now; the probe is asked again later."""

Finding: TypeAlias = Found[ResultT] | Missing
"""Return annotation of a method behind `@step.found`: `-> Finding[Charge]`."""
