"""Transactions on Django's own connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db import transaction

from saga_celery.app.chance import draw
from saga_celery.app.transaction import NUDGED_GRACE
from saga_celery.contrib.django.executor import CursorExecutor, translated
from saga_celery.store.retrying import again

T = TypeVar("T")


class OnDjango:
    """The caller's transaction on a connection of Django's; where none is open, one of our own there.

    Meets `saga_celery.app.transaction.Transaction`. Within the caller's blocks, what is stored is stored behind a
    savepoint: what is refused leaves nothing behind, and the caller may go on. Who has switched autocommit off commits,
    and rolls back, by hand.

    Args:
        database: the connection.
        publishes_plans: whether the store may commit plans on a connection of its own.

    Raises:
        StoreUnavailable: the database does not answer.
    """

    def __init__(self, database: Any, *, publishes_plans: bool) -> None:
        self._database = database
        self.publishes_plans = publishes_plans
        self.target = CursorExecutor(database)
        self._is_begun = bool(database.in_atomic_block)
        with translated(database):
            self._by_hand = not (self._is_begun or database.get_autocommit())

    @property
    def nudge_after(self) -> float:
        """At once where the caller commits by hand, of which nobody tells us."""
        return 0.0 if self._by_hand else NUDGED_GRACE

    def run(self, work: Callable[[], T]) -> T:
        """Do the work in an atomic block; one of our own is begun anew when the database gives it up.

        Raises:
            RetryTransaction: the database gave the caller's transaction up.
            StoreUnavailable: it does not answer.
        """
        if self._by_hand:
            return work()
        if self._is_begun:
            return self._within(work)
        return again(lambda: self._within(work), chance=draw)

    def _within(self, work: Callable[[], T]) -> T:
        with translated(self._database), transaction.atomic(using=self._database.alias):
            return work()

    def after_commit(self, then: Callable[[], None]) -> None:
        """After the commit of the outermost block; forgotten with the savepoint that is rolled back."""
        if not self._by_hand:
            transaction.on_commit(then, using=self._database.alias, robust=True)
