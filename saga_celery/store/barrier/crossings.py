"""The barrier: an effect and the record of it, committed together in the participant's own database.

dtm's sub-transaction barrier, extended. A compensation first takes the slot of its action. So an action that comes
after its compensation is suppressed for ever, and the compensation of an action that never came has nothing to do.
Beyond dtm, the record holds the result, so that a copy is answered with it; failures that no retry can mend are
recorded like results, and a suppressed action is no success.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from saga_celery.core.states import Direction, Failure, Slot
from saga_celery.errors import (
    ActionSuppressed,
    BarrierMisused,
    CommitUnknown,
    MessageOutOfDate,
    RetryTransaction,
    SagaError,
    SchemaOutOfDate,
    SlotForgotten,
)
from saga_celery.store.barrier.connection import BarrierConnection
from saga_celery.store.barrier.passage import Passage
from saga_celery.store.barrier.slots import Slots, TakenSlot
from saga_celery.store.barrier.table import SlotState
from saga_celery.store.faults import MIGRATE_BARRIER

T = TypeVar("T")

MOST_TRIES = 10
"""Transactions that are begun for one delivery before the database's conflict is left to the saga's own retry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """What the barrier leaves to others."""

    plain: Callable[[Any], Any]
    """A result as JSON gives it back; raises `ResultRejected`."""
    failure_of: Callable[[BaseException], Failure]
    """An exception as data."""
    rest: Callable[[int], None]
    """Pause after so many tries; differently long for rivals."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is returned without running anything."""

    result: Any


class SlotVanished(Exception):
    """The slot that was taken a moment ago is free again: look once more."""


class Crossing:
    """One transaction of one delivery through the barrier.

    Args:
        connection: not in a transaction.
        passage: the delivery.
        handling: results, failures and pauses.
        fatal: names of exception types that no retry can mend; they are stored.
    """

    def __init__(
        self, connection: BarrierConnection, passage: Passage, handling: Handling, fatal: frozenset[str] = frozenset()
    ) -> None:
        self._connection = connection
        self._passage = passage
        self._handling = handling
        self._fatal = fatal
        self._slots = Slots(connection, passage)
        self._bar_is_new = False
        self._commit_unknown = False

    # ------------------------------------------------------------------------------------------------------------ begin

    def enter(self) -> Answer | None:
        """Begin the transaction and take the slot; None: go on and do the work.

        Raises:
            ActionSuppressed: the action is barred.
            MessageOutOfDate: the action's message came too late.
            StoredFailure: the first run failed for good, or this very attempt has failed.
            SlotForgotten: there may have been an action, whose record was purged.
            BarrierMisused: the connection's transaction is not the barrier's own.
        """
        self._connection.begin()
        answer = self._entrance()
        self._commit_unknown = False  # the slot has told
        return answer

    def _entrance(self) -> Answer | None:
        match self._passage.slot.direction:
            case Direction.ACTION:
                return self._enter_action()
            case Direction.COMPENSATION:
                return self._enter_compensation()
            case Direction.PROBE:
                self._enter_probe()
                return None

    def bar(self) -> bool:
        """Begin the transaction and bar the action's slot; False when the action took effect."""
        self._connection.begin()
        attempts = self._passage.action_attempt
        if self._slots.take(self._passage.action, SlotState.BARRED, barred_attempts=attempts):
            return True
        taken = self._slots.read(self._passage.action)
        if taken is None:
            raise SlotVanished
        _refuse_open(taken.state, self._passage.action.step)
        self._bar_further(taken)
        return taken.state is not SlotState.DONE

    def end_attempt(self, failure: Failure) -> bool:
        """Begin the transaction and keep out the copies of an attempt that failed.

        False where there is nothing to keep out: some copy took effect, the slot is closed for good already, or an
        effect may have been purged, which a bar would hide from the compensation.
        """
        self._connection.begin()
        slot, slots, attempt = self._passage.slot, self._slots, self._passage.attempt
        if slots.take(slot, SlotState.BARRED, barred_attempts=attempt) and slots.may_be_purged():
            self._connection.rollback()
            return False
        taken = slots.read(slot)
        if taken is None:
            raise SlotVanished
        slots.keep_longer(slot, taken)
        return slots.end_attempt(slot, attempt, failure)

    def _bar_further(self, taken: TakenSlot) -> None:
        attempts = self._passage.action_attempt
        if taken.state is SlotState.BARRED and not taken.keeps_out(attempts):
            self._slots.bar_further(self._passage.action, attempts)

    def _enter_action(self) -> Answer | None:
        slot, slots = self._passage.slot, self._slots
        if not slots.take(slot, SlotState.OPEN):
            taken = slots.read(slot)
            if taken is None:
                raise SlotVanished
            if taken.state is not SlotState.BARRED:
                return self._again()
            if not slots.reopen(slot, self._passage.attempt):
                raise _refusal(slot, taken)
            slots.keep_longer(slot, taken)
        if slots.is_late():
            raise MessageOutOfDate(
                f"the message for {slot.step!r} is out of date since {self._passage.not_after}; this copy did nothing"
            )
        return None

    def _enter_compensation(self) -> Answer | None:
        action, slots = self._passage.action, self._slots
        if slots.take(action, SlotState.BARRED):
            if slots.may_be_purged():
                raise SlotForgotten(
                    f"no record of {action.step!r}, but records of that age were purged: look for its effect"
                )
            return self._nothing_to_undo()
        taken = slots.read(action)
        if taken is None:
            raise SlotVanished
        _refuse_open(taken.state, action.step)
        if taken.state is SlotState.DONE:
            return None if slots.take(self._passage.slot, SlotState.OPEN) else self._again()
        if taken.state is SlotState.BARRED and taken.barred_attempts is not None:
            slots.bar_further(action, None)
        return self._nothing_to_undo()

    def _nothing_to_undo(self) -> Answer:
        if self._slots.take(self._passage.slot, SlotState.OPEN) and not self._slots.store_result(
            self._passage.slot, None
        ):
            raise SlotVanished
        return Answer(None)

    def _enter_probe(self) -> None:
        """A probe asks and changes nothing, so it runs each time; all it leaves behind is the bar."""
        self._bar_is_new = self._slots.take(
            self._passage.action, SlotState.BARRED, barred_attempts=self._passage.action_attempt
        )

    def _again(self) -> Answer:
        """Answer a copy with what the first run stored."""
        slot = self._passage.slot
        taken = self._slots.read(slot)
        if taken is None:
            raise SlotVanished
        _refuse_open(taken.state, slot.step)
        self._slots.keep_longer(slot, taken)
        if taken.state is SlotState.FAILED:
            self._connection.commit()
            raise taken.stored_failure()
        return Answer(taken.answer())

    # -------------------------------------------------------------------------------------------------------------- end

    @contextmanager
    def work(self) -> Iterator[None]:
        """Around the work: nobody else may commit, and a fatal failure is stored in place of the work's effects."""
        with self._connection.guarded():
            if not (self._fatal and self._passage.slot.direction is Direction.ACTION):
                yield  # a compensation that failed for good is for an operator to retry, so nothing is stored of it
                return
            try:
                with self._connection.savepoint():
                    yield
            except Exception as error:
                if self._connection.given_up(error) or self._connection.lost(error):
                    raise
                failure = self._handling.failure_of(error)
                if self._fatal.isdisjoint({failure.type, *failure.types}):
                    raise
                self._keep(self._slots.store_failure(self._passage.slot, failure))
                raise FailureStored(error) from error

    def plain(self, result: Any) -> Any:
        """The result as every copy will get it.

        Raises:
            ResultRejected: it is no JSON.
        """
        return self._handling.plain(result)

    def store(self, result: Any) -> Any:
        """Keep the result, in the work's transaction; returns it as every copy will get it.

        Raises:
            ResultRejected: it is no JSON.
            BarrierMisused: the work has ended the barrier's transaction.
        """
        plain = self.plain(result)
        if self._is_probe:
            return self._store_probe(plain)
        self._keep(self._slots.store_result(self._passage.slot, plain))
        return plain

    def _store_probe(self, found: Any) -> Any:
        """None means never, and is made true; anything else leaves no trace."""
        action = self._passage.action
        if found is not None:
            self._bar_is_new = False
            self._connection.rollback()
            return found
        if self._bar_is_new:
            if self._slots.read(action) is None:
                raise BarrierMisused(_GONE)
            if self._slots.may_be_purged():
                self._connection.rollback()  # a bar over a purged effect would hide it from the compensation
            return None
        taken = self._slots.read(action)
        if taken is None:
            raise SlotVanished
        _refuse_open(taken.state, action.step)
        if taken.state is SlotState.DONE:
            return self._contradicted(taken.answer())
        self._bar_further(taken)
        return None

    def _contradicted(self, result: Any) -> Any:
        """The probe found nothing, but the record says that the action was committed."""
        if result is None:
            raise BarrierMisused(
                f"the probe answered None, but {self._passage.action.step!r} took effect with the result None: "
                "let the probe return something, and tell by `found` what it means"
            )
        return result

    # ------------------------------------------------------------------------------------------------------------ again

    def again(self, once: Callable[[], T], *, stays_open: bool = False) -> T:
        """Run a transaction, and a new one as long as that may help; then commit it.

        A broken connection is treated like a conflict: whether or not the commit arrived, the slot tells the next try.

        Args:
            once: begins the transaction and does everything in it.
            stays_open: leave it open when `once` returns None.

        Raises:
            RetryTransaction: it was given up again and again.
            CommitUnknown: an earlier try may have been committed, and the database does not answer any more.
            SchemaOutOfDate: the barrier's table is missing.
        """
        self._connection.require_idle()
        for tries in itertools.count(1):
            try:
                outcome = once()
                if outcome is not None or not stays_open:
                    self.commit()
                return outcome
            except Exception as failure:
                self.rollback()
                if not self._helps(failure):
                    self._name_missing_table(failure)
                    raise
                if tries >= MOST_TRIES:
                    self._give_up(failure)
            except BaseException:
                self.rollback()
                raise
            self._handling.rest(tries)
        raise AssertionError("unreachable")

    def commit(self) -> None:
        """Commit the work together with its record."""
        try:
            self._connection.commit()
        except Exception as failure:
            self._commit_unknown = self._connection.lost(failure)
            raise

    def rollback(self) -> None:
        """Leave no trace."""
        try:
            self._connection.rollback()
        except Exception as failure:
            if not self._connection.lost(failure):
                raise

    def explain(self, failure: Exception) -> None:
        """Say in this library's words what the end of the transaction met with, if it has any.

        Raises:
            RetryTransaction: the database gave the transaction up.
            CommitUnknown: the connection broke at the commit.
        """
        if self._helps(failure):
            self._give_up(failure)

    def _helps(self, failure: Exception) -> bool:
        if isinstance(failure, SagaError):
            return isinstance(failure, RetryTransaction)
        known = (
            isinstance(failure, SlotVanished) or self._connection.given_up(failure) or self._connection.lost(failure)
        )
        return known or self._commit_unknown

    def _name_missing_table(self, failure: Exception) -> None:
        if self._connection.has_no_table(failure):
            raise SchemaOutOfDate(
                f"the barrier's table is missing in this database, or too old; run: {MIGRATE_BARRIER}"
            ) from failure

    def _give_up(self, failure: Exception) -> None:
        if self._commit_unknown:
            raise CommitUnknown("the connection broke at the commit, and the database does not answer") from failure
        if not self._connection.lost(failure):
            raise RetryTransaction(f"the database gave the transaction up: {failure}") from failure
        raise failure

    @property
    def _is_probe(self) -> bool:
        return self._passage.slot.direction is Direction.PROBE

    def _keep(self, kept: bool) -> None:
        if not kept:
            raise BarrierMisused(_GONE)


class FailureStored(Exception):
    """A fatal failure was stored and waits for the commit; `error` is what the work raised."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


_GONE = (
    "the transaction that took the slot is gone: the code inside the barrier must neither roll back nor go on after a "
    "deadlock, which rolls back by itself"
)


def _refusal(slot: Slot, taken: TakenSlot) -> SagaError:
    """A copy of an attempt that failed gets that failure; one that was ruled out or undone has come too late."""
    if taken.failure is not None:
        return taken.stored_failure()
    return ActionSuppressed(f"{slot.step!r} was given up before this message came; it took no effect")


def _refuse_open(state: SlotState, step: str) -> None:
    if state is SlotState.OPEN:
        raise BarrierMisused(f"an earlier run of {step!r} committed inside its barrier; what it did is unknown")


def cross(crossing: Crossing, work: Callable[[], Any]) -> Any:
    """Do the work behind the barrier, or answer with what an earlier run stored.

    Raises:
        RetryTransaction: the database gave the transaction up again and again.
    """

    def once() -> Any:
        answer = crossing.enter()
        if answer is not None:
            return answer.result
        try:
            with crossing.work():
                result = work()
        except FailureStored as kept:
            return kept
        return crossing.store(result)

    outcome = crossing.again(once)
    if isinstance(outcome, FailureStored):
        raise outcome.error
    return outcome


def enter(crossing: Crossing) -> Answer | None:
    """Take the slot. The transaction stays open when there is work to do, and is over when there is an answer."""
    return crossing.again(crossing.enter, stays_open=True)


def end_attempt(crossing: Crossing, failure: Failure) -> bool:
    """Keep out the copies of an action's attempt that failed; a copy gets the failure, the next attempt may pass."""
    return crossing.again(lambda: crossing.end_attempt(failure))


def bar(crossing: Crossing) -> bool:
    """Bar the action's slot; False when the action took effect."""
    return crossing.again(crossing.bar)
