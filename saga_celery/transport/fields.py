"""Strict reading of what came over the wire: every value has a pattern, a length or a range."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from saga_celery.core.states import Direction, Slot
from saga_celery.errors import MessageNotUnderstood

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}\Z")
NAME = re.compile(r"[^\s\x00-\x1f]{1,200}\Z")
STEP = re.compile(r"[\w.-]{1,200}\Z")
HASH = re.compile(r"[0-9a-f]{8,64}\Z")
WORKER = re.compile(r"[^\s\x00-\x1f]{1,255}\Z")
QUEUE = re.compile(r"[^\s\x00-\x1f]{1,255}\Z")
LARGEST = 1_000_000_000
LATEST = 253_370_764_800
"""The first second of the year 9999; databases and Python know times up to its end."""


def text(value: Any, pattern: re.Pattern[str], what: str) -> str:
    """A string that matches as a whole."""
    if not isinstance(value, str) or not pattern.match(value):
        raise MessageNotUnderstood(f"{what} is not well formed")
    return value


def prose(value: Any, longest: int, what: str) -> str:
    """A string of any characters, up to a length."""
    if not isinstance(value, str) or len(value) > longest:
        raise MessageNotUnderstood(f"{what} is no text of at most {longest} characters")
    return value


def whole(value: Any, least: int, what: str) -> int:
    """A whole number of at least `least`; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LARGEST:
        raise MessageNotUnderstood(f"{what} is no whole number from {least}")
    return value


def seconds(value: Any, what: str) -> float:
    """A length of time."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST:
        raise MessageNotUnderstood(f"{what} is no number of seconds")
    return float(value)


def moment(value: Any, what: str) -> datetime:
    """A point in time, as seconds since 1970."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST:
        raise MessageNotUnderstood(f"{what} is no point in time")
    return datetime.fromtimestamp(value, UTC)


def flag(value: Any, what: str) -> bool:
    """True or False and nothing that merely looks like it."""
    if not isinstance(value, bool):
        raise MessageNotUnderstood(f"{what} is neither true nor false")
    return value


def slot(value: Any, what: str) -> Slot:
    """The four parts of a slot: step, item, direction, generation."""
    if not isinstance(value, list | tuple) or len(value) != len(Slot._fields):
        raise MessageNotUnderstood(f"{what} does not have four parts")
    step, item, direction, generation = value
    try:
        direction = Direction(direction)
    except ValueError:
        raise MessageNotUnderstood(f"{what} has no known direction") from None
    return Slot(text(step, STEP, what), whole(item, 0, what), direction, whole(generation, 1, what))


def pair(value: Any, what: str) -> tuple[int, int]:
    """Two whole numbers from 1."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise MessageNotUnderstood(f"{what} does not have two parts")
    first, second = value
    return whole(first, 1, what), whole(second, 1, what)


def plain(slot: Slot) -> list[str | int]:
    """A slot as it is written."""
    return [slot.step, slot.item, slot.direction.value, slot.generation]
