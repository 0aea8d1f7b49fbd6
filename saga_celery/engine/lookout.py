"""The lookout: has a saga that does not move told of, once, however many sweepers look.

A sweeper that comes back after an outage finds everything overdue and moves it within seconds, so what it meets is only
suspected. Who is still stuck a minute later, with a sweeper at work all the time, is told of. What is suspected is kept
in memory; a process that starts reads once what is repeated in vain. What was told is a row, stored together with what
hooks are told, so no sweeper that dies takes an alert along, and no two tell the same.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from saga_celery.core.states import SagaState
from saga_celery.engine.courier import Courier
from saga_celery.engine.occurrences import Occurrence
from saga_celery.engine.ports import Delivery, Overdue, Store, Stuck, StuckStore, Trouble
from saga_celery.errors import StoreUnavailable

T = TypeVar("T")

logger = logging.getLogger("saga_celery")

LOOK_EVERY = 15.0
"""Seconds between two looks."""
LONGEST_GAP = 20.0
"""Seconds between two ticks after which, by default, nobody swept meanwhile."""
MOST_SUSPECTS = 10_000
"""Suspects that are kept; further ones are met again when their waits are due."""
MOST_TOLD = 1_000
"""How many suspects one look examines."""

_DETAILS = {
    Trouble.NOT_BEGUN: "the message was sent {more} times and no worker began with it",
    Trouble.UNANSWERED: "a coordinator was asked {more} times and none answered",
    Trouble.FAILING: "it was tried {times} times and failed each time; the workers' logs say why",
    Trouble.OVERDUE: "it has been due for {seconds:.0f} s and no sweeper gets at it",
}


class Lookout:
    """What one process suspects. Its sweepers share it, one tick at a time.

    Args:
        rows: who is stuck, and who was told of.
        store: the saga database.
        patience: seconds for which a suspect may go on being stuck, and a wait overdue.
        in_vain: how many repetitions of a message, or failures at a wait, make a suspect.
        gap: seconds between two ticks after which nobody swept meanwhile, so that all suspicions begin anew.
        courier: tells hooks; None: there are none.
        on_stuck: called after the commit with the saga and the event; must not raise.
        elapsed: a monotonic clock.
    """

    def __init__(
        self,
        *,
        rows: StuckStore,
        store: Store,
        patience: float,
        in_vain: int,
        gap: float,
        courier: Courier | None = None,
        on_stuck: Callable[[SagaState, Occurrence], None] | None = None,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rows = rows
        self._store = store
        self._patience = patience
        self._in_vain = in_vain
        self._gap = gap
        self._courier = courier
        self._on_stuck = on_stuck
        self._elapsed = elapsed
        self._suspects: dict[str, float] = {}
        self._ticked: float | None = None
        self._looked: float | None = None
        self._knows_all = False

    def ticked(self, rows: Sequence[Overdue], *, more: bool) -> None:
        """Take note of what a tick met, and look round when it is time.

        Args:
            rows: what the tick has just dealt with.
            more: there was more than it could take, so that other waits are overdue for no other reason.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        now = self._elapsed()
        if self._ticked is None or now - self._ticked > self._gap:
            self._begin_anew()
        self._ticked = now
        self._suspect(row.saga_id for row in rows if max(row.resends, row.failures) >= self._in_vain - 1)
        if self._looked is None or now - self._looked >= LOOK_EVERY:
            self._looked = now
            self._survive(self._look, more)

    def _begin_anew(self) -> None:
        """As nobody swept, nobody is to blame yet. The next time a wait is due may be minutes away, so all are read."""
        self._suspects.clear()
        self._looked = None
        self._knows_all = False

    def _suspect(self, saga_ids: Iterable[str]) -> None:
        for saga_id in saga_ids:
            if len(self._suspects) < MOST_SUSPECTS:
                self._suspects.setdefault(saga_id, self._elapsed())

    def _look(self, more: bool) -> None:
        if not self._knows_all:
            self._suspect(self._rows.repeated(MOST_SUSPECTS))
            self._knows_all = True
        if not more:
            self._suspect(self._rows.overdue(self._patience, MOST_SUSPECTS))
        ripe = self._ripe()
        for stuck in self._rows.still(ripe, overdue=None if more else self._patience) if ripe else ():
            self._survive(self._tell, stuck)
        self._rows.forget(overdue=self._patience)

    def _ripe(self) -> list[str]:
        """Those who were suspected long enough, no longer suspected from here on."""
        until = self._elapsed() - self._patience
        found = [saga_id for saga_id, since in self._suspects.items() if since <= until][:MOST_TOLD]
        for saga_id in found:
            del self._suspects[saga_id]
        return found

    def _survive(self, work: Callable[[T], None], about: T) -> None:
        """A look never stops the sweeper, nor one saga the look."""
        try:
            work(about)
        except StoreUnavailable:
            raise
        except Exception:
            logger.exception("the sweeper could not look for stuck sagas; it comes back to it")

    def _tell(self, stuck: Stuck) -> None:
        state = self._store.load(stuck.saga_id)
        if state is None:
            return
        what = _occurrence(stuck)
        deliveries: Sequence[Delivery] = () if self._courier is None else self._courier.prepared_for(state, what)
        if not self._rows.record(stuck, deliveries):
            return
        if self._courier is not None:
            self._courier.send(deliveries)
        _log(state, what)
        if self._on_stuck is not None:
            self._on_stuck(state, what)


def _occurrence(stuck: Stuck) -> Occurrence:
    words = _DETAILS[stuck.trouble].format(more=stuck.times + 1, times=stuck.times, seconds=stuck.seconds)
    return Occurrence(
        event="saga_stuck",
        place=0,
        details={
            "step": stuck.slot.step,
            "item": stuck.slot.item if stuck.slot.step else 0,
            "direction": stuck.slot.direction.value,
            "attempt": stuck.attempt,
            "reason": stuck.trouble.value,
            "detail": words,
        },
    )


def _log(state: SagaState, what: Occurrence) -> None:
    details = what.details
    logger.error(
        "saga %s %s is stuck%s: %s; see `celery -A … saga show %s`",
        state.name,
        state.id,
        f" at step {details['step']}" if details["step"] else "",
        details["detail"],
        state.id,
        extra={
            "saga_id": state.id,
            "saga_name": state.name,
            "step": details["step"],
            "attempt": details["attempt"],
            "direction": details["direction"],
        },
    )
