"""How commands that run until they are told to stop are told."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def ended_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM and SIGINT end what runs inside in good order.

    Args:
        stop: is called when one of them comes, in the main thread.
    """
    ends = (signal.SIGTERM, signal.SIGINT)

    def ended(number: int, frame: Any) -> None:
        stop()

    before = {each: signal.signal(each, ended) for each in ends}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
