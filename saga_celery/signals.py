"""Signals: what happens to sagas, told to functions of the process that moved them, after the commit.

They are Celery's own signals, sent at best effort: a process that dies between its commit and the signal sends none.
For what must not be missed there are hooks. The sender is the name of the saga, so a receiver can listen to one kind:

    @saga_failed.connect(sender="shop.order")
    def page(saga_id, step, reason, **_): ...

Every receiver gets `saga_id`, `saga_name`, `version` (the number of the transition in the saga's history) and what is
listed with each signal. A receiver that raises is logged and harms nothing; one that is slow holds up the worker.
Connected functions are held weakly, as in Celery: give `weak=False` for one that nothing else holds.
"""

from __future__ import annotations

from collections.abc import Mapping

from celery.utils.dispatch import Signal

from saga_celery.core.states import SagaState
from saga_celery.engine.coordinator import Handled
from saga_celery.engine.occurrences import ARGUMENTS, Occurrence, occurrences

COMMON = ("saga_id", "saga_name", "version")


def _signal(name: str) -> Signal:
    return Signal(name=name, providing_args=[*COMMON, *ARGUMENTS[name]])


saga_started = _signal("saga_started")
"""The coordinator took the saga up. No further arguments."""
saga_completed = _signal("saga_completed")
"""Every step is done. `result`: plain JSON."""
saga_compensating = _signal("saga_compensating")
"""The saga goes backward. `reason`: failure, abort, cancel, deadline or request; `detail`: in words; `failure`: a
`Failure` or None."""
saga_compensated = _signal("saga_compensated")
"""Everything that took effect is undone. Arguments as for `saga_compensating`."""
saga_failed = _signal("saga_failed")
"""Something new waits in the dead letters; the saga can not go on by itself. `step`, `item`, `direction`, `reason` (as
`saga dead-letters` shows it), `detail`, `failure`: a `Failure` or None. Once for each dead letter."""
saga_stuck = _signal("saga_stuck")
"""The saga has not moved for long though the sweeper did what it can. `step`, `item`, `direction`, `attempt`, `reason`
(not_begun, unanswered, failing, overdue), `detail`: in words. Sent by a sweeper, once until the saga moves again."""
saga_resumed = _signal("saga_resumed")
"""A person settled the last dead letter, or lets an undone saga run again. `state`: RUNNING or COMPENSATING."""
saga_overdue = _signal("saga_overdue")
"""The deadline passed behind the pivot; the saga goes on. No further arguments."""
saga_late_effect = _signal("saga_late_effect")
"""A step took effect after its saga had ended, and waits in the dead letters. `step`, `item`, `direction`, `reason`,
`detail`, `result`."""
step_dispatched = _signal("step_dispatched")
"""An attempt of a step goes out. `step`, `item`, `attempt`."""
step_awaiting = _signal("step_awaiting")
"""A step waits: for an event, for a time, or for a child saga. `step`, `item`."""
step_succeeded = _signal("step_succeeded")
"""A step took effect. `step`, `item`, `attempt`, `result`: plain JSON."""
step_failed = _signal("step_failed")
"""A step is given up: it failed for good, or nobody knows whether it took effect. `step`, `item`, `failure`: a
`Failure` or None. Attempts that are retried are not told."""
step_skipped = _signal("step_skipped")
"""A step is passed over. `step`, `item`, `result`."""
step_compensated = _signal("step_compensated")
"""The effect of a step is undone. `step`, `item`, `attempt`: that of the compensation."""

SIGNALS: Mapping[str, Signal] = {name: globals()[name] for name in ARGUMENTS}
"""Every signal by its name; the same names are the events of hooks."""


def tell(handled: Handled) -> None:
    """Send the signals of a transition that was committed.

    Args:
        handled: the saga after it, and its facts.
    """
    if not any(signal.receivers for signal in SIGNALS.values()):
        return
    for each in occurrences(handled.state, handled.facts):
        tell_of(handled.state, each)


def tell_of(state: SagaState, what: Occurrence) -> None:
    """Send one signal.

    Args:
        state: the saga as it stands.
        what: the event.
    """
    SIGNALS[what.event].send(
        sender=state.name, saga_id=state.id, saga_name=state.name, version=state.version, **what.details
    )
