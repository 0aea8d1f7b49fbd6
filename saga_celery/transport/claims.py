"""Which copy of an attempt may run: what the store says about earlier claims, weighed with who is alive."""

from __future__ import annotations

from saga_celery.core.events import AttemptLost, AttemptStarted
from saga_celery.core.states import Activity, Direction
from saga_celery.transport.reports import Begun, started
from saga_celery.transport.runtime import Runtime


def claim(
    runtime: Runtime, saga_id: str, begun: Begun, *, twin_here: bool = True
) -> AttemptStarted | AttemptLost | None:
    """Make news of a copy that wants to run.

    Args:
        runtime: this process.
        saga_id: the saga.
        begun: the copy; its `epoch` is the latest claim that the sender of the message knew of.
        twin_here: another copy of the attempt may be in the hands of the same worker.

    Returns:
        The news for the coordinator; None when the copy must not run and nothing is to be reported.
    """
    earlier = _earlier_claim(runtime, saga_id, begun)
    if earlier is None:
        return started(begun, rival_alive=False, own_retry=False)
    if earlier.epoch <= begun.epoch:
        # The sender knew of that claim and sent the attempt all the same: the task had put itself back into the queue.
        return started(begun, rival_alive=False, own_retry=True)
    if earlier.worker == begun.worker:
        return None if twin_here else _lost(begun, earlier)
    return started(begun, rival_alive=_may_live(runtime, earlier.worker), own_retry=False)


def _earlier_claim(runtime: Runtime, saga_id: str, begun: Begun) -> Activity | None:
    state = runtime.store.load(saga_id)
    step = state.step(begun.slot.step, begun.slot.item) if state else None
    if step is None:
        return None
    activity = step.activity(Direction(begun.slot.direction))
    return activity if activity.worker and activity.attempt == begun.attempt else None


def _lost(begun: Begun, earlier: Activity) -> AttemptLost:
    reason = f"worker {earlier.worker} lost the process that ran it"
    return AttemptLost(slot=begun.slot, attempt=begun.attempt, reason=reason)


def _may_live(runtime: Runtime, worker: str) -> bool:
    """A claim is not in the next heartbeat at once, so a worker that lives may well be running what it claimed.

    Only a worker that had a heartbeat and lost it is dead; for any other the lease decides.
    """
    living = runtime.living()
    return worker in living.workers or worker not in living.known
