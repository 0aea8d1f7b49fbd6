"""Hints that a saga has ended, for whoever waits: heard at once where the database can call, never relied upon."""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol

from sqlalchemy.engine import Connection

from saga_celery.store.connections import Connections

logger = logging.getLogger("saga_celery")

CHANNEL = "saga_ended"
"""Where a transition that ends a saga calls out its id, in the same statement."""
DEAF_SECONDS = 10.0
"""Rest after the listening connection broke; polling goes on meanwhile."""


class Ends(Protocol):
    """The ears of one thread."""

    @property
    def reliable(self) -> bool:
        """True while calls are known to arrive; polling may then be slow."""
        ...

    def heard(self, seconds: float) -> Sequence[str]:
        """Rest for at most `seconds`; the ids that were called out meanwhile. A call ends the rest early."""
        ...

    def interrupt(self) -> None:
        """From any thread: end the rest, or the next one if there is none just now."""
        ...

    def close(self) -> None:
        """Let go of whatever was opened."""
        ...


def ends_of(connections: Connections) -> Ends:
    """The ears that fit a database and its driver."""
    if connections.url.get_driver_name() == "psycopg":
        return PostgresCalls(connections)
    return NoCalls()


class NoCalls:
    """A database that can not call: nothing but rests."""

    reliable = False

    def __init__(self) -> None:
        self._interrupted = threading.Event()

    def heard(self, seconds: float) -> Sequence[str]:
        """Rest; nothing is ever heard."""
        self._interrupted.wait(seconds)
        self._interrupted.clear()
        return ()

    def interrupt(self) -> None:
        """End the rest."""
        self._interrupted.set()

    def close(self) -> None:
        """Nothing is open."""


class PostgresCalls:
    """LISTEN, on a connection of its own beside the pool, opened at the first rest.

    Between us and the server may stand a pooler that takes LISTEN and drops what is called. So calls count as reliable
    only once one has arrived here; the first is our own, made on another connection.

    Args:
        connections: the database.
        clock: seconds, for the rest after a failure.
    """

    def __init__(self, connections: Connections, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._connections = connections
        self._clock = clock
        self._connection: Connection | None = None
        self._deaf_until = 0.0
        self.reliable = False
        self._ear, self._mouth = socket.socketpair()
        for end in (self._ear, self._mouth):
            end.setblocking(False)

    def heard(self, seconds: float) -> Sequence[str]:
        """Rest until something is called out, the time is over, or somebody interrupts."""
        try:
            if self._connection is None and self._clock() >= self._deaf_until:
                self._listen()
            self._rest(seconds)
            return [saga_id for saga_id in self._calls() if saga_id]
        except Exception as failure:  # whatever it is: a hint is not worth a failure, and polling goes on without
            logger.info("the ends of sagas are polled for, as the database can not be listened to: %r", failure)
            self._hang_up()
            self._deaf_until = self._clock() + DEAF_SECONDS
            return ()

    def interrupt(self) -> None:
        """End the rest."""
        with suppress(BlockingIOError):  # interruptions enough are waiting to be seen
            self._mouth.send(b"!")

    def close(self) -> None:
        """Close the listening connection."""
        self._hang_up()
        self._ear.close()
        self._mouth.close()

    # ------------------------------------------------------------------------------------------------------ connection

    def _listen(self) -> None:
        self._connection = self._connections.engine.connect()
        self._connection.detach()
        self._connection.exec_driver_sql(f"LISTEN {CHANNEL}")
        with self._connections.autocommit() as another:
            another.exec_driver_sql(f"SELECT pg_notify('{CHANNEL}', '')")

    def _hang_up(self) -> None:
        connection, self._connection, self.reliable = self._connection, None, False
        if connection is not None:
            with suppress(Exception):  # it may be broken already, and nothing on it is worth a word
                connection.close()

    # ----------------------------------------------------------------------------------------------------------- calls

    def _rest(self, seconds: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._ear, selectors.EVENT_READ)
            if self._connection is not None:
                selector.register(_driver(self._connection).fileno(), selectors.EVENT_READ)
            selector.select(seconds)
        with suppress(BlockingIOError):
            self._ear.recv(4096)

    def _calls(self) -> Iterator[str]:
        """What has come in, without a word to the server."""
        if self._connection is None:
            return
        wire = _driver(self._connection).pgconn
        wire.consume_input()
        while call := wire.notifies():
            self.reliable = True
            yield call.extra.decode()


def _driver(connection: Connection) -> Any:
    """The connection of psycopg, whose lower half tells what has come in."""
    return connection.connection.dbapi_connection
