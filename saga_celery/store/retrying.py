"""Running a transaction again that the database gave up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from saga_celery.errors import RetryTransaction

T = TypeVar("T")

MOST_TRIES = 10
"""Runs of one transaction before its caller is told that the database gives it up again and again."""
LONGEST_REST = 0.5
"""Upper bound in seconds of the rest between two of them."""


def again(work: Callable[[], T], *, chance: Callable[[], float]) -> T:
    """Call `work` until it is not given up, with a rest that grows and differs between rivals.

    Args:
        work: one whole transaction.
        chance: draws a number between 0 and 1.

    Raises:
        RetryTransaction: it was given up again and again.
    """
    for tries in range(MOST_TRIES - 1):
        try:
            return work()
        except RetryTransaction:
            time.sleep(chance() * min(LONGEST_REST, 0.005 * 2**tries))
    return work()
