"""A launcher that stands by, until somebody asks for the end, by Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

LOOK_SECONDS = 0.5


def stand(look: Callable[[], object]) -> None:
    """Look after what runs, again and again, and return after the first of these signals.

    They are only noted: an exception out of nowhere may strike while a lock of the standard library is taken, and the
    end would then wait for that lock for ever; or between the start of a process and the note of who has to end it.
    To be called by the main thread, which alone may handle signals, and with which a process on a leash dies.

    Args:
        look: what to do every half second; what it raises ends the standing.
    """
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: asked.append(number))
    while not asked:
        look()
        time.sleep(LOOK_SECONDS)
