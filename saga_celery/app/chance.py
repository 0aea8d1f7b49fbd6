"""The one place where time, ids and chance enter the library."""

from __future__ import annotations

import os
import random
import time
import uuid

from celery.utils.time import get_exponential_backoff_interval

from saga_celery.core.retry import Retry


def new_id() -> str:
    """A new saga id: a UUID version 7 (RFC 9562), so that ids made later sort later and fill an index from one end."""
    milliseconds = time.time_ns() // 1_000_000
    chance = int.from_bytes(os.urandom(10), "big")
    high = (milliseconds & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | (chance >> 68) & 0x0FFF
    low = 0x8000_0000_0000_0000 | chance & 0x3FFF_FFFF_FFFF_FFFF
    return str(uuid.UUID(int=high << 64 | low))


def wall_clock() -> float:
    """Seconds since 1970 by this machine's clock, for what need not be exact to the minute."""
    return time.time()


def draw() -> float:
    """A number from 0 up to 1, for rests that differ between rivals."""
    return random.random()  # noqa: S311 - no secret depends on it


def backoff(retry: Retry, tries: int) -> float:
    """Seconds to rest after `tries` attempts: Celery's own back-off, asked for milliseconds so that it may draw
    fractions.

    Args:
        retry: the policy.
        tries: attempts that were used up, at least one.
    """
    drawn = get_exponential_backoff_interval(
        factor=round(retry.delay * 1000),
        retries=max(tries - 1, 0),
        maximum=round(retry.maximum * 1000),
        full_jitter=retry.jitter,
    )
    return drawn / 1000
