"""Data of others, made safe and short enough for a terminal."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from saga_celery.engine.packed import SEALED, is_packed, reference_in

WIDTH = 120
"""Longest excerpt of an input, a result or an error in a table."""

NO_WIDTH = sys.maxsize
"""For what is not to be cut."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Replace what could move the cursor, colour the screen or reverse the line, and what is no Unicode (half of a
    surrogate pair); line breaks and tabs stay."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def excerpt(text: str, width: int = WIDTH) -> str:
    """One line of at most `width` characters."""
    line = " ".join(printable(text).split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def first_line(text: str, width: int = WIDTH) -> str:
    """The first line that holds anything, cut to `width`."""
    return excerpt(next((line for line in text.splitlines() if line.strip()), ""), width)


def data(value: Any, width: int = WIDTH) -> str:
    """A JSON value on one line, cut to `width`; nothing for None."""
    if value is None:
        return ""
    if is_packed(value):
        return _packed(value)
    return excerpt(json.dumps(value, ensure_ascii=False, default=str), width)


def _packed(value: Any) -> str:
    """What stands for a value that is not shown."""
    reference = reference_in(value)
    if reference is None:
        return f"(sealed by codec {excerpt(str(value[SEALED]).partition(':')[0], 40)!r}, which is not open here)"
    return f"{_size(reference.size)} kept apart, sha256 {reference.digest[:12]}…"


def _size(size: float) -> str:
    """`812 bytes`, `3.0 MB`."""
    if size < 1000:
        return f"{size:.0f} bytes"
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"
