"""Lengths of time, as people read them."""

from __future__ import annotations

from itertools import pairwise

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def spoken(seconds: float) -> str:
    """A length of time in at most two units: `9.5 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `4 d`."""
    if seconds < 0:
        return "0 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    left = round(seconds)
    for (unit, size), (smaller, fraction) in pairwise(_UNITS):
        if left >= size:
            whole, rest = divmod(left, size)
            part = rest // fraction
            return f"{whole} {unit} {part} {smaller}" if part else f"{whole} {unit}"
    return f"{left} s"
