"""On what terms a saga begins: what `start()` is given, checked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, get_args

from saga_celery.definition.definitions import Definition
from saga_celery.engine.admission import Terms
from saga_celery.errors import InputRejected

IfLocked = Literal["queue", "raise"]
"""What `start(lock=…)` does when the lock is held."""

CHOICES = get_args(IfLocked)
LONGEST_LOCK = 200
MOST_PRIORITY = 255
"""The highest that brokers know."""
LONGEST_DELAY = timedelta(days=3660)


def terms_of(
    definition: Definition,
    *,
    lock: str | None,
    if_locked: IfLocked,
    at: datetime | None,
    delay: timedelta | None,
) -> Terms:
    """Check on what terms a saga is to begin.

    Args:
        definition: the saga.
        lock: what it is to hold while it is open.
        if_locked: what to do while another saga holds that.
        at: when it is to begin.
        delay: how long from now.

    Raises:
        InputRejected: names what does not fit.
    """
    label = definition.label
    if if_locked not in CHOICES:
        raise InputRejected(f"{label}: if_locked={if_locked!r}; it is one of {', '.join(map(repr, CHOICES))}")
    _check_lock(label, lock)
    _check_time(label, at, delay)
    if if_locked == "raise" and not (at is None and delay is None):
        raise InputRejected(
            f"{label}: if_locked='raise' with a time to begin at; nobody knows now who will hold the lock then"
        )
    return Terms(
        lock=lock,
        refuse=if_locked == "raise" and lock is not None,
        max_running=definition.max_running,
        at=at,
        delay=delay.total_seconds() if delay else None,
    )


def priority_of(definition: Definition, priority: int | None) -> int | None:
    """Check a priority.

    Raises:
        InputRejected: no broker knows it.
    """
    if priority is None or (
        isinstance(priority, int) and not isinstance(priority, bool) and 0 <= priority <= MOST_PRIORITY
    ):
        return priority
    raise InputRejected(f"{definition.label}: priority={priority!r}; it is a whole number from 0 to {MOST_PRIORITY}")


def _check_lock(label: str, lock: str | None) -> None:
    if lock is None or (isinstance(lock, str) and 0 < len(lock) <= LONGEST_LOCK and lock.isprintable()):
        return
    raise InputRejected(f"{label}: lock={lock!r}; a lock is printable text of 1 to {LONGEST_LOCK} characters")


def _check_time(label: str, at: datetime | None, delay: timedelta | None) -> None:
    if at is not None and delay is not None:
        raise InputRejected(f"{label}: at= and delay= are two ways to say when; give one of them")
    if at is not None and (not isinstance(at, datetime) or at.tzinfo is None):
        raise InputRejected(f"{label}: at={at!r}; write a datetime with a time zone: datetime(…, tzinfo=UTC)")
    if delay is not None and not (isinstance(delay, timedelta) and timedelta(0) <= delay <= LONGEST_DELAY):
        raise InputRejected(f"{label}: delay={delay!r}; write a timedelta of up to {LONGEST_DELAY.days} days")
