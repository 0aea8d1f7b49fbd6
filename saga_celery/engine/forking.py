"""`fork()` beside other threads: at that moment none of them may be in the midst of anything.

A forked child has a copy of the memory and none of the other threads. What one of them held stays held in the child for
ever: a lock, a module half imported, the first use of something in a compiled library, which then waits for an
initialisation that nobody goes on with. SQLite moreover keeps the locks of a file in a table of the process: the child
inherits the table as it stands but none of the locks behind it, and takes the file for locked ("How To Corrupt An
SQLite Database File", section 2.6). Prefork workers fork whenever a child has died, while their main process sweeps in
a thread.

So a fork waits until no thread is at work here, and closes the connections at rest that a child must not inherit;
whoever wants to work meanwhile waits for the fork.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakMethod

LONGEST_WAIT = 10.0
"""Seconds after which a fork goes on although a thread is still at work."""


class ForkGate:
    """Keeps the work of threads and forks apart. There is one for each process, `GATE`."""

    def __init__(self) -> None:
        self._to_close: list[WeakMethod[Callable[[], Any]]] = []
        self._open_anew()

    def _open_anew(self) -> None:
        self._changed = threading.Condition()
        self._at_work: Counter[int] = Counter()
        self._forking = False

    @property
    def is_closed(self) -> bool:
        """A fork is under way, or waits."""
        return self._forking

    @contextmanager
    def work(self) -> Iterator[None]:
        """Work without being forked; waits while a fork is under way, unless this thread is at work already."""
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: not self._forking or self._at_work[me] > 0, LONGEST_WAIT)
            self._at_work[me] += 1
        try:
            yield
        finally:
            with self._changed:
                self._at_work[me] -= 1
                self._changed.notify_all()

    def close_before_forks(self, close: Callable[[], Any]) -> None:
        """Have `close`, a method whose object is not kept alive by this, called before each fork."""
        self._to_close = [each for each in self._to_close if each() is not None] + [WeakMethod(close)]

    def before_fork(self) -> None:
        """Wait until no other thread is at work, and close what must not be inherited."""
        me = threading.get_ident()
        with self._changed:
            self._forking = True
            self._changed.wait_for(lambda: not self._others_at_work(me), LONGEST_WAIT)
        for close in [each() for each in self._to_close]:
            if close is not None:
                close()

    def _others_at_work(self, me: int) -> bool:
        return any(entered > 0 for thread, entered in self._at_work.items() if thread != me)

    def after_fork_in_parent(self) -> None:
        """Let the waiting ones go on."""
        with self._changed:
            self._forking = False
            self._changed.notify_all()

    def after_fork_in_child(self) -> None:
        """None of the parent's threads is here."""
        self._open_anew()


GATE = ForkGate()

if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(
        before=GATE.before_fork,
        after_in_parent=GATE.after_fork_in_parent,
        after_in_child=GATE.after_fork_in_child,
    )
