"""The way to the broker, for processes that must never hang on it: web requests as well as workers."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar

from celery import Celery
from kombu.exceptions import KombuError, OperationalError, SerializationError

from saga_celery.errors import PublishFailed

CONNECT_SECONDS = 0.5
"""Longest wait for a host that does not answer at all."""
SOCKET_SECONDS = 0.5
"""Longest wait for an answer on a connection that stood."""
REST_SECONDS = 2.0
"""After a failure nothing is tried for so long; whoever asks is told at once."""
QUICK_SECONDS = 0.2
"""A connection that stood idle and fails faster than this was closed by the broker: a fresh one is worth a try."""
MOST_IDLE = 8

REDIS = frozenset({"redis", "rediss", "sentinel", "valkey", "valkeys", "redis+socket"})
_AMQP = frozenset({"amqp", "amqps", "pyamqp"})

Answer = TypeVar("Answer")


class Broker:
    """Connections for publishing, apart from Celery's own pool: short timeouts, no retry, a rest after each failure.

    Safe to use from any thread, and after a fork.
    """

    def __init__(self, celery: Celery, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._celery = celery
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: deque[Any] = deque(maxlen=MOST_IDLE)
        self._inherited: deque[Any] = deque()
        self._pid = os.getpid()
        self._rests_until = 0.0

    def use(self, act: Callable[[Any], Answer]) -> Answer:
        """Do something with a producer.

        Args:
            act: takes a kombu Producer; it may be called a second time, with another one.

        Raises:
            PublishFailed: the broker can not be reached, or could not a moment ago.
        """
        self._refuse_while_resting()
        producer = self._take_idle()
        if producer is not None:
            began = self._clock()
            try:
                return self._try(producer, act)
            except PublishFailed:
                if self._clock() - began > QUICK_SECONDS:
                    self._rest()
                    raise
        try:
            return self._try(self._fresh(), act)
        except PublishFailed:
            self._rest()
            raise

    def _try(self, producer: Any, act: Callable[[Any], Answer]) -> Answer:
        failures = (OperationalError, KombuError, OSError, *producer.connection.connection_errors)
        try:
            answer = act(producer)
        except SerializationError:  # the message is at fault, not the broker
            self._idle.append(producer)
            raise
        except (*failures, *producer.connection.channel_errors) as error:
            _close(producer)
            raise PublishFailed(f"{type(error).__name__}: {error}") from error
        except BaseException:  # a time limit may have hit in the midst of a command
            _close(producer)
            raise
        _keep_client(producer)
        self._idle.append(producer)
        return answer

    def close(self) -> None:
        """Close the connections that stand idle; whoever uses the broker again makes a new one."""
        while (producer := self._take_idle()) is not None:
            _close(producer)

    # -------------------------------------------------------------------------------------------------------- producers

    def _take_idle(self) -> Any | None:
        with self._lock:
            if self._pid != os.getpid():  # sockets of the parent process belong to it
                self._inherited = self._idle  # never touched again, not even to be closed
                self._pid, self._idle = os.getpid(), deque(maxlen=MOST_IDLE)
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _fresh(self) -> Any:
        producer = self._celery.amqp.Producer(quick_connection(self._celery), auto_declare=False)
        _declare_once(producer)
        return producer

    # ------------------------------------------------------------------------------------------------------------ rests

    def _refuse_while_resting(self) -> None:
        if self._clock() < self._rests_until:
            raise PublishFailed("the broker failed a moment ago")

    def _rest(self) -> None:
        self._rests_until = self._clock() + REST_SECONDS


def quick_connection(celery: Celery) -> Any:
    """A kombu connection with short timeouts and no retry, not connected yet.

    Args:
        celery: the user's app.
    """
    plain = celery.connection_for_write()
    options = _bounded(str(plain.transport_cls), len(plain.alt or ()))
    given = {name: value for name, value in (plain.transport_options or {}).items() if name in options}
    return celery.connection_for_write(
        transport_options={**options, **given, **_never_wait(len(plain.alt or ()))},
        connect_timeout=CONNECT_SECONDS,
    )


def _bounded(transport: str, hosts: int) -> dict[str, Any]:
    """Timeouts of the transport, unless the user has set them."""
    share = CONNECT_SECONDS / max(hosts, 1)
    if transport in REDIS:
        return {"socket_connect_timeout": share, "socket_timeout": SOCKET_SECONDS}
    if transport in _AMQP:
        return {"read_timeout": SOCKET_SECONDS, "write_timeout": SOCKET_SECONDS}
    return {}


def _never_wait(hosts: int) -> dict[str, Any]:
    """Without these kombu tries for ever; each of several hosts gets one try."""
    return {"max_retries": max(hosts - 1, 0), "interval_start": 0, "interval_step": 0, "interval_max": 0}


def _declare_once(producer: Any) -> None:
    """Kombu declares a queue once for each connection, but binds it to the channel anew to find that out."""
    declare, declared = producer.maybe_declare, {}

    def maybe_declare(entity: Any, retry: bool = False, **policy: Any) -> None:
        if id(entity) not in declared:
            declare(entity, retry, **policy)
            declared[id(entity)] = entity  # held, so that its id stays its own

    producer.maybe_declare = maybe_declare


def _keep_client(producer: Any) -> None:
    """Kombu makes a Redis client anew for each command, on the same connections; that takes as long as the command."""
    make = getattr(producer.channel, "Client", None)
    if make is not None and not hasattr(make, "cache_info"):
        producer.channel.Client = cache(make)


def _close(producer: Any) -> None:
    with suppress(Exception):
        producer.connection.collect()  # closes without a word to a broker that may be gone
