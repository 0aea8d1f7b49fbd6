"""The sweeper: comes back to whatever was awaited and did not come. Any number of copies is harmless.

It finds what is due and hands it to the coordinator as news, or sends a message again. It runs no step, renders no
message, and changes no saga by another road.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from saga_celery.core.events import AttemptLost, DeadlinePassed, News, Nudged, RestOver
from saga_celery.core.states import Activity, SagaState
from saga_celery.engine.coordinator import (
    HELD_LOOK,
    LOOK_AGAIN,
    NUDGE_GRACE,
    UNSENT_GRACE,
    Coordinator,
    dispatched,
    held,
    outgoing,
)
from saga_celery.engine.courier import Courier
from saga_celery.engine.gate import OpenGate
from saga_celery.engine.janitor import Janitor
from saga_celery.engine.log_fields import about
from saga_celery.engine.lookout import Lookout
from saga_celery.engine.ports import Awaited, Gate, Living, Overdue, Running, Store, Transport
from saga_celery.errors import PublishFailed, StoreUnavailable

logger = logging.getLogger("saga_celery")

LEASE = 30.0
"""Seconds for which a sweeper holds a row; a sweeper that dies gives it back after that."""
UNLISTED = 12.0
"""Seconds after which a claimed attempt must show up in its worker's heartbeats (written every 5 s)."""
LONGEST_GRACE = 600.0
"""Upper bound in seconds of a grace that doubles."""
LONGEST_HELD = 30.0
"""Upper bound in seconds of the rest between two looks at what is paused; it grows as the pause gets older."""
MOST_HOLDS = 8
"""How often a resend may hold because the queue is long, before it goes out all the same."""

LONG_QUEUE = 200
"""From how many messages on the coordinators' queue is long: they are not through with it in a second or two."""

NOBODY = Living(workers=frozenset(), known=frozenset(), attempts={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What one tick did."""

    found: int = 0
    failed: int = 0
    more: bool = False
    """The batch was full, so there may be more at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What all rows of one tick see."""

    living: Living
    crowded: bool
    """The coordinators' queue is long; what is in it asks for the same as another nudge would."""


class Sweeper:
    """One tick at a time; whoever hosts it (a worker's thread, its own process, celery beat) decides when.

    Args:
        store: the saga database.
        transport: the broker.
        coordinator: one that renders nothing.
        batch: how many rows one tick takes at most.
        gate: keeps back messages that are paused; by default none.
        courier: comes back to hooks; None: there are none.
        lookout: has sagas that do not move told of; the same one for all sweepers of a process. None: nobody is told.
        janitor: clears away what is old, shared likewise. None: everything is kept.
    """

    def __init__(
        self,
        *,
        store: Store,
        transport: Transport,
        coordinator: Coordinator,
        batch: int = 200,
        gate: Gate | None = None,
        courier: Courier | None = None,
        lookout: Lookout | None = None,
        janitor: Janitor | None = None,
    ) -> None:
        self._store = store
        self._transport = transport
        self._coordinator = coordinator
        self._batch = batch
        self._gate = gate or OpenGate()
        self._courier = courier
        self._lookout = lookout
        self._janitor = janitor

    def tick(self) -> Swept:
        """Deal with everything that is due now, up to one batch.

        A row that can not be dealt with is logged and put off; it never stops the others.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        rows = self._store.overdue(self._batch, LEASE)
        if any(row.awaited is Awaited.HELD for row in rows):
            self._gate.refresh()
        scene = self._scene(rows)
        failed = sum(not self._survive(row, scene) for row in rows)
        hooks, unsent = (0, 0) if self._courier is None else self._courier.sweep(self._batch)
        more = max(len(rows), hooks) >= self._batch
        if self._lookout is not None:
            self._lookout.ticked(rows, more=len(rows) >= self._batch)
        if self._janitor is not None:
            self._janitor.ticked()
        return Swept(found=len(rows) + hooks, failed=failed + unsent, more=more)

    def _scene(self, rows: Sequence[Overdue]) -> Scene:
        """Look at what is the same for all rows of a tick, and only if there is a row that asks."""
        living = self._store.living() if any(_is_attempt(row) for row in rows) else NOBODY
        crowded = any(row.awaited is Awaited.NUDGE for row in rows) and self._transport.backlog() >= LONG_QUEUE
        return Scene(living=living, crowded=crowded)

    def _survive(self, row: Overdue, scene: Scene) -> bool:
        try:
            self._deal_with(row, scene)
        except StoreUnavailable:
            raise
        except PublishFailed as failure:
            logger.warning(
                "saga %s: the broker took no message (%s); it is sent later", row.saga_id, failure, extra=_about(row)
            )
            self._store.postpone(row, NUDGE_GRACE / 2)
        except Exception:
            logger.exception(
                "the sweeper could not deal with %s of saga %s; it comes back to it",
                row.slot,
                row.saga_id,
                extra=_about(row),
            )
            self._store.postpone(row, _doubled(LEASE, row.failures), failed=True)
            return False
        return True

    def _deal_with(self, row: Overdue, scene: Scene) -> None:
        match row.awaited:
            case Awaited.ADMISSION:
                self._coordinator.handle(row.saga_id, Nudged())  # who is not let in is looked at again by the gates
            case Awaited.NUDGE:
                self._nudge(row, scene)
            case Awaited.DEADLINE:
                self._report(row, DeadlinePassed())
            case Awaited.REST:
                self._report(row, RestOver(slot=row.slot))
            case Awaited.HELD:
                self._held(row)
            case Awaited.START:
                self._not_started(row, _holder(row, scene.living))
            case Awaited.END:
                self._not_ended(row, scene.living)
            case _ as never:
                assert_never(never)

    # ---------------------------------------------------------------------------------------------------------- nudge

    def _nudge(self, row: Overdue, scene: Scene) -> None:
        if scene.crowded and _has_patience(row, NUDGE_GRACE):
            self._store.postpone(row, _doubled(NUDGE_GRACE, row.resends))
        else:
            self._transport.nudge([row.saga_id])
            self._store.postpone(row, _doubled(NUDGE_GRACE, row.resends), resent=True)

    def _report(self, row: Overdue, news: News) -> None:
        handled = self._coordinator.handle(row.saga_id, news)
        if handled is not None and handled.facts:
            return
        if handled is not None and handled.state.suspended:
            self._store.sleep(row)
        else:
            self._store.postpone(row, _doubled(LEASE, row.failures), failed=True)

    # ----------------------------------------------------------------------------------------------------------- held

    def _held(self, row: Overdue) -> None:
        """Sent for the first time, once nothing holds it any more: the wait is changed first, as at any dispatch."""
        state, activity = self._out(row)
        if state is None or activity is None:
            self._store.postpone(row, _doubled(LEASE, row.failures), failed=True)
        elif state.suspended:
            self._store.sleep(row)
        elif held(self._gate, state, activity):
            self._store.hold(row, min(max(row.age, HELD_LOOK), LONGEST_HELD))
        elif self._store.release(row, dispatched(activity, row.slot, row.attempt, self._transport)):
            self._send_released(row, state)

    def _send_released(self, row: Overdue, state: SagaState) -> None:
        try:
            self._transport.send([outgoing(state, row.slot, row.attempt)])
        except PublishFailed:
            self._store.hasten(row.saga_id, [row.slot], UNSENT_GRACE)
            raise

    def _out(self, row: Overdue) -> tuple[SagaState | None, Activity | None]:
        """The saga of a row, and its activity if the attempt that the row is about is still out, as the row knows it.

        One that was claimed since then is not: its message would be sent under that claim, as if whoever sent it knew
        that nobody runs it.
        """
        state = self._store.load(row.saga_id)
        step = state.step(row.slot.step, row.slot.item) if state else None
        activity = step.activity(row.slot.direction) if step else None
        if activity is None or activity.message is None:
            return state, None
        known = (row.slot.generation, row.attempt, row.epoch)
        is_out = (activity.generation, activity.attempt, activity.epoch) == known
        return state, activity if is_out else None

    # ---------------------------------------------------------------------------------------------------- not started

    def _not_started(self, row: Overdue, holder: Running | None) -> None:
        if holder is not None and holder.started:
            self._seen_running(row, holder)
        elif holder is not None:
            self._store.postpone(row, LOOK_AGAIN)
        else:
            self._send_again(row)

    def _send_again(self, row: Overdue) -> None:
        state, activity = self._out(row)
        if state is None or activity is None:
            self._store.postpone(row, _doubled(LEASE, row.failures), failed=True)
        elif state.suspended:
            self._store.sleep(row)
        elif held(self._gate, state, activity):
            self._store.postpone(row, min(activity.policy.queue_grace, LONGEST_HELD))
        elif self._holds(row, activity):
            self._store.postpone(row, _doubled(activity.policy.queue_grace, row.resends))
        else:
            self._transport.send([outgoing(state, row.slot, row.attempt, resends=row.resends + 1)])
            self._store.postpone(row, _doubled(activity.policy.queue_grace, row.resends + 1), resent=True)

    def _holds(self, row: Overdue, activity: Activity) -> bool:
        assert activity.message is not None  # noqa: S101 - only what was rendered is ever out
        if row.age < activity.policy.queue_grace:
            return False  # it was hastened: it never went out, or whoever had it is known to be gone
        return _has_patience(row, activity.policy.queue_grace) and self._transport.backlog(activity.message) > 0

    # ------------------------------------------------------------------------------------------------------ not ended

    def _not_ended(self, row: Overdue, living: Living) -> None:
        holder = _holder(row, living)
        if holder is not None and holder.started:
            self._seen_running(row, holder)
        elif row.age >= row.timeout:
            self._lose(row, f"no outcome within {row.timeout:g} s")
        elif row.worker in living.known and row.worker not in living.workers:
            self._lose(row, f"worker {row.worker} died")
        elif row.worker in living.workers and row.age > UNLISTED:
            self._lose(row, f"worker {row.worker} lost the process that ran it")
        else:
            self._store.postpone(row, min(LOOK_AGAIN, row.timeout - row.age))

    def _seen_running(self, row: Overdue, holder: Running) -> None:
        left = row.timeout - min(holder.seconds, row.age)
        if left <= 0:
            self._lose(row, f"no outcome within {row.timeout:g} s")
        else:
            self._store.observe(row, holder, min(left, LOOK_AGAIN))

    def _lose(self, row: Overdue, reason: str) -> None:
        self._report(row, AttemptLost(slot=row.slot, attempt=row.attempt, reason=reason))


def _holder(row: Overdue, living: Living) -> Running | None:
    return living.holder(row.saga_id, row.slot, row.attempt)


def _about(row: Overdue) -> dict[str, Any]:
    """What is awaited for the saga as a whole has a slot that is no step."""
    if not _is_attempt(row):
        return about(row.saga_id)
    return about(row.saga_id, slot=row.slot, attempt=row.attempt)


def _is_attempt(row: Overdue) -> bool:
    return row.awaited in (Awaited.START, Awaited.END)


def _has_patience(row: Overdue, grace: float) -> bool:
    """Nothing is gained by a second copy at the end of a queue that is simply long; but not for ever."""
    return row.resends < MOST_HOLDS and row.age < MOST_HOLDS * _doubled(grace, row.resends)


def _doubled(seconds: float, times: int) -> float:
    return float(min(seconds * 2 ** min(times, 16), LONGEST_GRACE))
