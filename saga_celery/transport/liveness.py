"""`heartbeat()`: what a long task calls now and then, so that its time counts from the latest call."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import celery

RAREST = 5.0
"""Seconds between two signs of life that are passed on; fewer where the lease is short."""
SHARE = 4
"""A lease is long enough for so many of them."""
SIGNS = "_saga_celery_signs"
"""Where the signs of a running delivery are kept: an attribute of its request."""


class Sender(Protocol):
    """What passes a sign of life on."""

    def alive(self) -> bool:
        """Pass on that the task is at work; False when nobody waits for it any more."""
        ...


class Signs:
    """The signs of life of one delivery, made rare.

    Args:
        sender: passes them on.
        lease: seconds within which the next one has to come.
        clock: a monotonic clock.
    """

    def __init__(self, sender: Sender, lease: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._sender = sender
        self._clock = clock
        self._rest = min(RAREST, lease / SHARE)
        self._next = clock() + self._rest
        self._wanted = True

    def give(self) -> bool:
        """The task lives. Returns what was heard last; no more is asked once nobody waits for it."""
        now = self._clock()
        if self._wanted and now >= self._next:
            self._next = now + self._rest
            self._wanted = self._sender.alive()
        return self._wanted


def heartbeat() -> bool:
    """Say that a step's task is still at work: its `timeout` then counts from the latest call.

    Call it as often as you like, from the task's own thread: it passes on one sign in a few seconds and costs next to
    nothing in between. While database or broker are away it says True, and the lease decides. Outside a saga it does
    nothing.

    Returns:
        True: go on. False: nobody waits for this attempt any more, as its saga turns round or another copy took over;
        stop, undo what you did, and raise any exception. A worker without the saga database can not know, and is
        always told True.
    """
    task: Any = celery.current_app.current_worker_task
    signs: Signs | None = None if task is None else getattr(task.request, SIGNS, None)
    return True if signs is None else signs.give()
