"""Lengths of time and moments, as people type them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(min|[smhdw])\s*", re.ASCII)
_BARE = re.compile(r"\d+(\.\d+)?", re.ASCII)


def length(text: str) -> timedelta:
    """Read `90s`, `15m`, `2h`, `1h30m`, `3d`, `1w`, or a bare number of seconds.

    Raises:
        ValueError: the text is none of these.
        OverflowError: nothing lasts so long.
    """
    text = text.strip().lower()
    if _BARE.fullmatch(text):
        return timedelta(seconds=float(text))
    parts = _PART.findall(text)
    if not parts or _PART.sub("", text):
        raise ValueError(f"{text!r} is no length of time; write 90s, 15m, 2h, 1h30m or 3d")
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))


def moment(text: str) -> datetime:
    """Read an ISO 8601 time with its zone.

    Raises:
        ValueError: it is none, or does not say in which zone.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError(f"{text!r} is no time with a zone; write 2030-01-31T06:00Z or 2030-01-31T06:00+01:00")
    return found
