"""The latest states that this process stored, or a sibling shared, so that the next transition of a saga needs no read.

A state from here may be out of date, for other processes move sagas as well. To store a transition that was decided on
it is safe, as the version guards it. A decision that changes nothing never reaches that guard: it must be made again on
a state that was read from the database.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from saga_celery.core.copies import replace
from saga_celery.core.states import SagaState
from saga_celery.core.steps import Steps
from saga_celery.engine.ports import Change
from saga_celery.store.codec import dumps, loads
from saga_celery.store.rows import changed_steps
from saga_celery.store.shared_states import SharedStates


class RecentStates:
    """At most `size` sagas, the longest unused one goes first. Safe for threads, and to be forked."""

    def __init__(self, size: int = 512) -> None:
        self._size = size
        self._shared = SharedStates()
        self._lock = threading.Lock()
        self._states: OrderedDict[str, SagaState] = OrderedDict()

    def get(self, saga_id: str) -> SagaState | None:
        """The latest state that is known here; its JSON is the caller's own."""
        with self._lock:
            found = self._states.get(saga_id)
            if found is not None:
                self._states.move_to_end(saga_id)
        version = found.version if found is not None else -1
        if self._shared.version_of(saga_id) > version and (newer := self._shared.get(saga_id)) is not None:
            return newer
        return _apart(found) if found is not None else None

    def version_of(self, saga_id: str) -> int | None:
        """The version of what `get` gives; None: nothing is known here."""
        with self._lock:
            found = self._states.get(saga_id)
        own, shared = found.version if found is not None else -1, self._shared.version_of(saga_id)
        return max(own, shared) if max(own, shared) >= 0 else None

    def keep(self, change: Change) -> None:
        """Remember a transition that was stored."""
        self._put(_as_stored(change))

    def share(self, saga_id: str) -> None:
        """Let the processes that were forked from the same one know the latest state that is known here."""
        with self._lock:
            found = self._states.get(saga_id)
        if found is not None and found.version > self._shared.version_of(saga_id):
            self._shared.put(found)

    def learn(self, state: SagaState) -> None:
        """Remember a state that was read; the caller's code may change its JSON, so it is copied."""
        self._put(_apart(state))

    def _put(self, state: SagaState) -> None:
        with self._lock:
            self._states[state.id] = state
            self._states.move_to_end(state.id)
            while len(self._states) > self._size:
                self._states.popitem(last=False)

    def drop(self, saga_id: str) -> None:
        """Forget a saga that somebody else moved, or that has ended."""
        with self._lock:
            self._states.pop(saga_id, None)
        self._shared.drop(saga_id)


def _as_stored(change: Change) -> SagaState:
    """The state as the database would give it back: a tuple is a list there."""
    steps = Steps.of(change.after.steps)
    for step in changed_steps(change):
        if isinstance(step.result, tuple | list | dict):
            steps = steps.put(replace(step, result=loads(dumps(step.result))))
    return replace(change.after, steps=steps, version=change.before.version + 1)


def _apart(state: SagaState) -> SagaState:
    """Copies of what the saga's own code gets into its hands, and might change.

    What the items of a fan-out returned is only ever decoded, and there may be thousands of them.
    """
    steps = Steps.of(state.steps)
    for step in steps.own():
        if step.items is None and isinstance(step.result, list | dict):
            steps = steps.put(replace(step, result=_copied(step.result)))
    return replace(state, input=_copied(state.input), steps=steps)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_copied(part) for part in value]
    return value
