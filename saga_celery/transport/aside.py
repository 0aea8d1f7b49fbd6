"""Saying to the broker what nothing rests on: in a thread, on a connection of its own, so that nobody waits for it."""

from __future__ import annotations

import logging
import os
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

from celery import Celery

from saga_celery.engine.forking import GATE
from saga_celery.transport.broker import Broker

logger = logging.getLogger("saga_celery")

LINGER = 30.0
"""Seconds for which the thread outstays the last that was said."""
MOST_UNSAID = 1_000
"""What is kept while the broker is slow; what is older is dropped."""

Said = TypeVar("Said")


class Aside(ABC, Generic[Said]):
    """Says things to the broker at best effort. Safe to use from any thread, and after a fork.

    Args:
        celery: the user's app.
    """

    what: ClassVar[str]
    """What it says, for the log and the name of its thread."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._open()

    def _open(self) -> None:
        self._pid = os.getpid()
        self._broker = Broker(self._celery)  # its own: a refusal of this must not make the real messages rest
        self._changed = threading.Condition()
        self._unsaid: deque[Said] = deque(maxlen=MOST_UNSAID)
        self._thread: threading.Thread | None = None

    def say(self, *said: Said) -> None:
        """Have it said; returns at once and never fails.

        Args:
            said: what is true already, such as the id of a saga whose end is committed.
        """
        if self._pid != os.getpid():
            self._open()
        with self._changed:
            self._unsaid.extend(said)
            if self._thread is None:
                self._thread = started(self._speak, f"saga_celery-{self.what}")
            self._changed.notify()

    def _speak(self) -> None:
        while said := self._next():
            try:
                with GATE.work():
                    self._broker.use(partial(self._publish, said))
            except Exception as failure:  # whatever it is: a hint is not worth a failure
                logger.info("%d %s of sagas were not called out: %r", len(said), self.what, failure)

    def _next(self) -> list[Said]:
        """What is to be said now; nothing: it is time to go."""
        with self._changed:
            if not self._unsaid:
                self._changed.wait(LINGER)
            said = list(self._unsaid)
            self._unsaid.clear()
            if not said:
                self._thread = None
            return said

    @abstractmethod
    def _publish(self, said: Sequence[Said], producer: Any) -> None:
        """Say it, all at once where that can be; may be called again with another producer."""


def started(act: Callable[[], None], name: str) -> threading.Thread | None:
    """A thread that no process waits for; None where none can be had, as in an interpreter that shuts down."""
    thread = threading.Thread(target=act, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as failure:
        logger.debug("no thread for %s: %s", name, failure)
        return None
    return thread
