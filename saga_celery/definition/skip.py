"""`SKIP`: what a step method returns when there is nothing to run."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Skip(Enum):
    """Type of `SKIP`; a step that may skip is annotated `-> Signature[X] | Skip`."""

    SKIP = "skip"


SKIP: Final = Skip.SKIP
"""Nothing to run: the step is passed over, and those that take its result get None."""
