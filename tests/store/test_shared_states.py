"""States in memory that processes share: a sibling goes on from them, and never takes half of one for a whole."""

from __future__ import annotations

import os

from saga_celery.core.states import Activity, SagaState, StepState, StepStatus
from saga_celery.store.recent import RecentStates
from saga_celery.store.shared_states import PLACES, ROOM, SharedStates, _place


def state(saga_id="s1", version=3, **more):
    step = StepState(name="charge", status=StepStatus.DISPATCHED, action=Activity(attempt=2), result={"id": [1, 2]})
    return SagaState(id=saga_id, name="shop", plan_hash="p", version=version, steps={("charge", 0): step}, **more)


def test_a_forked_process_takes_up_what_its_sibling_shared():
    states = RecentStates()
    child = os.fork()
    if child == 0:
        states.learn(state())
        states.share("s1")
        os._exit(0)
    os.waitpid(child, 0)
    assert states.version_of("s1") == 3
    assert states.get("s1") == state()


def test_the_newer_of_ones_own_and_the_shared_counts():
    states = RecentStates()
    states.learn(state(version=3))
    states.share("s1")
    states.learn(state(version=5))
    assert states.get("s1").version == 5
    states.learn(state(version=2))
    assert states.get("s1").version == 3


def test_what_is_dropped_is_dropped_for_all():
    states = RecentStates()
    states.learn(state())
    states.share("s1")
    states.drop("s1")
    assert (states.version_of("s1"), states.get("s1")) == (None, None)


def test_half_a_state_is_none():
    shared = SharedStates()
    shared.put(state())
    _, start = _place("s1")
    shared._memory[start + 200] ^= 1
    assert (shared.version_of("s1"), shared.get("s1")) == (3, None)


def test_a_place_belongs_to_the_latest_saga_that_came():
    first = "s1"
    second = next(name for name in map(str, range(10 * PLACES)) if _place(name)[1] == _place(first)[1])
    shared = SharedStates()
    shared.put(state(first))
    shared.put(state(second))
    assert (shared.get(first), shared.get(second)) == (None, state(second))
    shared.drop(first)
    assert shared.get(second) == state(second)


def test_what_is_too_large_is_not_shared():
    shared = SharedStates()
    shared.put(state(input=["x"] * ROOM))
    assert shared.get("s1") is None
