"""SQLite and `fork()`: no connection may be open at that moment.

SQLite keeps the locks of a file in a table of the process. A forked child inherits the table as it stands, but none of
the locks behind it; where another thread of the parent was writing, the child would take the file for locked for ever
("How To Corrupt An SQLite Database File", section 2.6). So a fork waits until no thread uses a connection, and closes
those at rest; whoever wants one meanwhile waits for the fork. Prefork workers fork whenever a child has died, while
their main process sweeps in a thread.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakSet

LONGEST_WAIT = 10.0
"""Seconds after which a fork goes on although a connection is still in use."""


class ForkGate:
    """Keeps uses of connections and forks apart.

    Args:
        close: closes the connections that are at rest.
    """

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close
        self._open_anew()
        _gates.add(self)

    def _open_anew(self) -> None:
        self._changed = threading.Condition()
        self._users: Counter[int] = Counter()
        self._forking = False

    @contextmanager
    def use(self) -> Iterator[None]:
        """Use a connection; waits while a fork is under way, unless this thread uses one already."""
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: not self._forking or self._users[me] > 0, LONGEST_WAIT)
            self._users[me] += 1
        try:
            yield
        finally:
            with self._changed:
                self._users[me] -= 1
                self._changed.notify_all()

    def before_fork(self) -> None:
        """Wait until no other thread uses a connection, and close the others."""
        me = threading.get_ident()
        with self._changed:
            self._forking = True
            self._changed.wait_for(lambda: not any(n for user, n in self._users.items() if user != me), LONGEST_WAIT)
        self._close()

    def after_fork_in_parent(self) -> None:
        """Let the waiting ones go on."""
        with self._changed:
            self._forking = False
            self._changed.notify_all()

    def after_fork_in_child(self) -> None:
        """None of the parent's threads is here."""
        self._open_anew()


_gates: WeakSet[ForkGate] = WeakSet()


def _each(act: Callable[[ForkGate], None]) -> Callable[[], None]:
    def all_of_them() -> None:
        for gate in list(_gates):
            act(gate)

    return all_of_them


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(
        before=_each(ForkGate.before_fork),
        after_in_parent=_each(ForkGate.after_fork_in_parent),
        after_in_child=_each(ForkGate.after_fork_in_child),
    )
