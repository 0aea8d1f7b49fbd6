"""Lengths of time, as people type them."""

from __future__ import annotations

import re
from datetime import timedelta

import click

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(min|[smhdw])\s*")


def parse(text: str) -> timedelta:
    """Read `90s`, `15m`, `2h`, `1h30m`, `3d`, `1w`, or a bare number of seconds.

    Raises:
        ValueError: the text is none of these.
    """
    text = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return timedelta(seconds=float(text))
    parts = _PART.findall(text)
    if not parts or _PART.sub("", text):
        raise ValueError(f"{text!r} is no length of time; write 90s, 15m, 2h, 1h30m or 3d")
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))


def duration(text: str) -> timedelta:
    """A length of time on the command line: a type for click's options."""
    try:
        return parse(text)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(str(error)) from None
