"""Calls through Redis that a saga has ended, for whoever waits where the database can not call.

Redis keeps no call for those who are away, and nothing rests on one: whoever misses it finds out at the next look.
So both ends have a thread and a connection of their own, and nobody else ever waits for Redis on their account.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from celery import Celery

from saga_celery.transport.aside import Aside, started
from saga_celery.transport.broker import REDIS, quick_connection

logger = logging.getLogger("saga_celery")

CHANNEL = "saga_celery.ended"
"""Kombu's clients put the broker's `global_keyprefix` before it, as before its keys."""
DEAF_SECONDS = 10.0
"""Rest after the listening connection broke."""
LISTEN_SECONDS = 1.0
"""Longest time until the thread that listens notices that nobody needs it any more."""
MOST_UNHEARD = 1_000
"""Calls that are kept for whoever listens; older ones are dropped."""


def can_call(celery: Celery) -> bool:
    """Tell whether the broker is one that calls can go through. Connects to nothing."""
    return str(celery.connection_for_write().transport_cls) in REDIS


class EndCaller(Aside[str]):
    """Calls out which sagas have ended, by their ids."""

    what = "ends"

    def _publish(self, said: Sequence[str], producer: Any) -> None:
        with producer.channel.conn_or_acquire() as redis:
            redis.publish(CHANNEL, ",".join(said))


class RedisEars:
    """Meets `saga_celery.store.ends.Ends` with calls through Redis. Connects at the first rest, in its own thread.

    Args:
        celery: the user's app.
    """

    reliable = False
    """Looks stay as frequent as without: a call brings the next one forward and puts none off."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._called: deque[str] = deque(maxlen=MOST_UNHEARD)
        self._woken = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def heard(self, seconds: float) -> Sequence[str]:
        """Rest until something is called out, the time is over, or somebody interrupts."""
        if self._thread is None:
            self._thread = started(self._listen, "saga_celery-ears")
        self._woken.wait(seconds)
        self._woken.clear()
        return [self._called.popleft() for _ in range(len(self._called))]

    def interrupt(self) -> None:
        """End the rest."""
        self._woken.set()

    def close(self) -> None:
        """Let the listening thread close its connection."""
        self._closed.set()

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                self._follow()
            except Exception as failure:  # whatever it is: a hint is not worth a failure, and looks go on without
                logger.info("the ends of sagas are only looked for, as Redis can not be listened to: %r", failure)
                self._closed.wait(DEAF_SECONDS)

    def _follow(self) -> None:
        with quick_connection(self._celery) as connection:
            calls = connection.channel().client.pubsub(ignore_subscribe_messages=True)
            with closing(calls):
                calls.subscribe(CHANNEL)
                while not self._closed.is_set():
                    if call := calls.get_message(timeout=LISTEN_SECONDS):
                        self._hear(call)

    def _hear(self, call: dict[str, Any]) -> None:
        if call["type"] == "message":
            self._called.extend(call["data"].decode().split(","))
            self._woken.set()
