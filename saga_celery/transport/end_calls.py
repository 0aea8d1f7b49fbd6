"""Calls through Redis that a saga has ended, for whoever waits where the database can not call.

Redis keeps no call for those who are away, and nothing rests on one: whoever misses it finds out at the next look.
So both ends have a thread and a connection of their own, and nobody else ever waits for Redis on their account.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Any

from celery import Celery

from saga_celery.engine.forking import GATE
from saga_celery.transport.broker import REDIS, Broker, quick_connection

logger = logging.getLogger("saga_celery")

CHANNEL = "saga_celery.ended"
"""Kombu's clients put the broker's `global_keyprefix` before it, as before its keys."""
LINGER = 30.0
"""Seconds for which the thread that calls outstays its last call."""
DEAF_SECONDS = 10.0
"""Rest after the listening connection broke."""
LISTEN_SECONDS = 1.0
"""Longest time until the thread that listens notices that nobody needs it any more."""
MOST_UNSAID = 1_000
"""Calls that are kept while Redis is slow; older ones are dropped."""


def can_call(celery: Celery) -> bool:
    """Tell whether the broker is one that calls can go through. Connects to nothing."""
    return str(celery.connection_for_write().transport_cls) in REDIS


class EndCaller:
    """Calls out which sagas have ended. Safe to use from any thread, and after a fork.

    Args:
        celery: the user's app.
    """

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._open()

    def _open(self) -> None:
        self._pid = os.getpid()
        self._broker = Broker(self._celery)  # its own: a call that Redis refuses must not make the real messages rest
        self._changed = threading.Condition()
        self._unsaid: deque[str] = deque(maxlen=MOST_UNSAID)
        self._thread: threading.Thread | None = None

    def say(self, saga_id: str) -> None:
        """Have it called out; returns at once and never fails.

        Args:
            saga_id: of a saga whose end is committed.
        """
        if self._pid != os.getpid():
            self._open()
        with self._changed:
            self._unsaid.append(saga_id)
            if self._thread is None:
                self._thread = _started(self._speak, "saga_celery-ends")
            self._changed.notify()

    def _speak(self) -> None:
        while saga_ids := self._next():
            try:
                with GATE.work():
                    self._broker.use(partial(_call_out, saga_ids))
            except Exception as failure:  # whatever it is: a hint is not worth a failure
                logger.info("the ends of %d sagas were not called out: %r", len(saga_ids), failure)

    def _next(self) -> list[str]:
        """What is to be said now; nothing: it is time to go."""
        with self._changed:
            if not self._unsaid:
                self._changed.wait(LINGER)
            said = list(self._unsaid)
            self._unsaid.clear()
            if not said:
                self._thread = None
            return said


def _call_out(saga_ids: Sequence[str], producer: Any) -> None:
    with producer.channel.conn_or_acquire() as redis:
        redis.publish(CHANNEL, ",".join(saga_ids))


class RedisEars:
    """Meets `saga_celery.store.ends.Ends` with calls through Redis. Connects at the first rest, in its own thread.

    Args:
        celery: the user's app.
    """

    reliable = False
    """Looks stay as frequent as without: a call brings the next one forward and puts none off."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._called: deque[str] = deque(maxlen=MOST_UNSAID)
        self._woken = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def heard(self, seconds: float) -> Sequence[str]:
        """Rest until something is called out, the time is over, or somebody interrupts."""
        if self._thread is None:
            self._thread = _started(self._listen, "saga_celery-ears")
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


def _started(act: Any, name: str) -> threading.Thread | None:
    """None where no thread can be had, as in an interpreter that shuts down."""
    thread = threading.Thread(target=act, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as failure:
        logger.debug("no thread for %s: %s", name, failure)
        return None
    return thread
