"""Holding on to what must not be lost while the database or the broker is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from celery.exceptions import SoftTimeLimitExceeded

logger = logging.getLogger("saga_celery")

FIRST_REST = 0.1
LONGEST_REST = 2.0

Answer = TypeVar("Answer")


def hold(
    act: Callable[[], Answer],
    *,
    until: float,
    on: type[Exception] | tuple[type[Exception], ...],
    what: str,
    extra: Mapping[str, Any] | None = None,
    clock: Callable[[], float] = time.monotonic,
    rest: Callable[[float], None] = time.sleep,
) -> Answer:
    """Try until it works or the time is up; at least once.

    Args:
        act: what to do; doing it twice must be harmless.
        until: the end, by `clock`.
        on: the failure that may pass.
        what: for the log.
        extra: which saga it is about, for the log; None: the one whose task runs here, if any.
        clock: a monotonic clock.
        rest: sleeps.

    Raises:
        Exception: the last failure, when the time is up; any other failure at once.
    """
    pause, warned = FIRST_REST, False
    while True:
        try:
            return act()
        except SoftTimeLimitExceeded:
            continue  # it was meant for the task's body, which is over; Celery says it only once
        except on as failure:
            if clock() + pause > until:
                raise
            if not warned:
                logger.warning("%s is held: %s", what, failure, extra=extra)
                warned = True
        with suppress(SoftTimeLimitExceeded):
            rest(pause)
        pause = min(pause * 2, LONGEST_REST)
