"""After a process has died: what it may have been running on is looked at now, and not when its queue grace is over.

Nobody knows how far it came after the message that it was given. So everything of the saga that nobody claimed is made
due; the sweeper sends it again unless somebody is seen to run it, as it would have done some time later.
"""

from __future__ import annotations

from itertools import islice

from saga_celery.engine.unstarted import is_out, unstarted
from saga_celery.transport.runtime import Runtime
from saga_celery.transport.wire import Delivery

MOST = 20
"""Waits of one saga that are hastened; items of a fan-out beyond that have time until their grace is over."""


def hasten_rest(runtime: Runtime, saga_id: str, given: Delivery | None = None) -> None:
    """Have the sweeper look at what the process may have been running.

    Args:
        runtime: this process; without a saga database it can do nothing.
        saga_id: the saga of the message that the process was given.
        given: that message, where it was a step's. If it has no outcome, nothing ran on after it.

    Raises:
        StoreError: the database failed; the queue grace decides.
    """
    if not runtime.has_store:
        return
    state = runtime.store.load(saga_id)
    if state is not None and (given is None or not is_out(state, given.slot, given.attempt)):
        runtime.store.hasten(saga_id, list(islice(unstarted(state), MOST)), 0.0)
