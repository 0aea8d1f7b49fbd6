"""Who wants to know that an attempt failed, before anybody else is told: the barriers that it crossed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from saga_celery.core.events import AttemptFailed
from saga_celery.transport.reports import Outcome

logger = logging.getLogger("saga_celery")

_LISTENERS = "_saga_celery_attempt_end"

Listener = Callable[[AttemptFailed], None]


def on_failure(request: Any, listener: Listener) -> None:
    """Call `listener` when the attempt that a request stands for has failed: after the task's own retries, if any.

    Args:
        request: the task's request.
        listener: what it raises is logged; the failure is reported all the same.
    """
    request.__dict__.setdefault(_LISTENERS, []).append(listener)


def tell_listeners(request: Any, outcome: Outcome | None) -> None:
    """Tell of a failure without effect; anything else is none of a listener's business.

    Args:
        request: the task's request.
        outcome: what became of the attempt.
    """
    if not isinstance(outcome, AttemptFailed) or outcome.took_effect:
        return
    for listener in request.__dict__.pop(_LISTENERS, []):
        try:
            listener(outcome)
        except Exception:
            logger.exception("a barrier could not be told that %s failed; a copy of it may run", outcome.slot)
