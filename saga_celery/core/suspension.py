"""Suspended: a flag beside the status. Outcomes are recorded, nothing is sent, and what is due acts at the resume.

What has to be awaited is awaited all the same: an attempt that is under way may end, or be lost. Everything that would
follow is found anew at the resume, from where the steps stand.
"""

from __future__ import annotations

from saga_celery.core import events as e
from saga_celery.core.audit import acted
from saga_celery.core.draft import Draft, NotAllowed
from saga_celery.core.progress import take_up
from saga_celery.core.states import SagaStatus

OVER = (SagaStatus.COMPLETED, SagaStatus.COMPENSATED)


def suspend(draft: Draft, news: e.OperatorAsked) -> None:
    """Send nothing more; done already where the saga is suspended.

    Raises:
        NotAllowed: nothing will be sent any more.
    """
    if draft.state.status in OVER:
        raise NotAllowed(f"the saga is {draft.state.status}; there is nothing to suspend")
    if not draft.state.suspended:
        acted(draft, news)
        draft.record(e.SagaSuspended())


def resume(draft: Draft, news: e.OperatorAsked) -> None:
    """Go on; done already where the saga is not suspended. One that waits to be let in goes on waiting for that."""
    if draft.state.suspended:
        acted(draft, news)
        draft.record(e.SagaResumed())
        if not _waits_to_begin(draft):
            take_up(draft)


def _waits_to_begin(draft: Draft) -> bool:
    return draft.state.gated and draft.state.status is SagaStatus.PENDING and draft.state.turn is None
