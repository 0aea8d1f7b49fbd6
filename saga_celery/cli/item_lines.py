"""Which items of a list get a line on the page of their saga."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from saga_celery.app.reading import words
from saga_celery.core.progress import DONE
from saga_celery.core.states import StepState, StepStatus

MOST = 40
"""Lines for the items of one list; of a longer one only those are shown that are neither at rest nor waiting."""

_QUIET = (*DONE, StepStatus.QUEUED, StepStatus.CANCELLED, StepStatus.COMPENSATED, StepStatus.COMPENSATION_SKIPPED)


def counted(step: StepState, items: Sequence[StepState]) -> str:
    """How far a list is: `3/5 items`."""
    return f"{sum(item.status in DONE for item in items)}/{step.items} items"


def telling(items: Sequence[StepState]) -> Sequence[StepState]:
    """The items that are shown."""
    if len(items) <= MOST:
        return items
    return [item for item in items if item.status not in _QUIET][:MOST]


def left_out(items: Sequence[StepState]) -> str:
    """The others in a few words; nothing when there are none."""
    shown = {item.item for item in telling(items)}
    counts = Counter(words.step_status(item) for item in items if item.item not in shown)
    return ", ".join(f"{count} × {status}" for status, count in counts.items())
