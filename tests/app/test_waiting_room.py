"""One thread looks for all who wait, at times that a fake clock tells."""

from __future__ import annotations

import os
import queue
import threading
from concurrent.futures import CancelledError
from dataclasses import dataclass, field

import pytest

from saga_celery.app.waiting_room import FIRST_LOOK, LINGER, LONGEST_LOOK, LOOK_AT_CALLS, WaitingRoom
from saga_celery.core.states import SagaStatus
from saga_celery.errors import StoreUnavailable

RUNNING, COMPLETED = SagaStatus.RUNNING, SagaStatus.COMPLETED
PATIENCE = 60


@dataclass
class House:
    """A database and its ears under the test's control: each rest of the thread ends when the test says so."""

    states: dict[str, SagaStatus] = field(default_factory=dict)
    looks: list[set[str]] = field(default_factory=list)
    failure: Exception | None = None
    time: float = 1000.0
    reliable: bool = False
    rests: queue.Queue[float] = field(default_factory=queue.Queue)
    wakes: queue.Queue[tuple[str, ...]] = field(default_factory=queue.Queue)
    closed: threading.Event = field(default_factory=threading.Event)

    def statuses(self, ids):
        self.looks.append(set(ids))
        if self.failure is not None:
            raise self.failure
        return {saga_id: self.states[saga_id] for saga_id in ids if saga_id in self.states}

    def heard(self, seconds: float) -> tuple[str, ...]:
        self.rests.put(seconds)
        return self.wakes.get(timeout=PATIENCE)

    def interrupt(self) -> None:
        self.wakes.put(())

    def close(self) -> None:
        self.closed.set()

    def rest(self) -> float:
        """Wait until the thread rests; for how long it means to."""
        return self.rests.get(timeout=PATIENCE)

    def turn(self, seconds: float, *called: str) -> None:
        """Go forward in time, and end the rest."""
        self.time += seconds
        self.wakes.put(called)


@pytest.fixture
def house():
    return House()


@pytest.fixture
def room(house):
    made = WaitingRoom(house.statuses, lambda: house, clock=lambda: house.time)
    yield made
    for future in [wait.future for waits in made._waits.values() for wait in waits]:
        future.cancel()
    made.close()
    assert made._thread is None


def test_an_ended_saga_answers_at_the_first_look(house, room):
    house.states = {"a": COMPLETED}
    assert room.enter("a").result(PATIENCE) is COMPLETED
    assert house.looks == [{"a"}]


def test_a_saga_that_is_not_there_answers_none(room):
    assert room.enter("a").result(PATIENCE) is None


def test_one_look_is_for_all_who_wait(house, room):
    house.states = dict.fromkeys("abc", RUNNING)
    futures = [room.enter("a")]
    house.rest()
    futures += [room.enter(saga_id) for saga_id in "abc"]
    house.turn(LONGEST_LOOK)
    while house.looks[-1] != {"a", "b", "c"}:
        house.rest()
    house.states = dict.fromkeys("abc", COMPLETED)
    house.turn(LONGEST_LOOK)
    assert [future.result(PATIENCE) for future in futures] == [COMPLETED] * 4
    assert house.looks[-1] == {"a", "b", "c"}
    assert len(house.looks) <= 5


def test_rests_grow_up_to_the_longest(house, room):
    house.states = {"a": RUNNING}
    room.enter("a")
    rests = [house.rest()]
    for _ in range(6):
        house.turn(rests[-1])
        rests.append(house.rest())
    assert rests == pytest.approx([2 * FIRST_LOOK * 2**n for n in range(4)] + [LONGEST_LOOK] * 3)


def test_where_calls_are_reliable_looks_are_rare_and_a_call_is_followed_at_once(house, room):
    house.reliable = True
    house.states = {"a": RUNNING, "b": RUNNING}
    future = room.enter("a")
    assert house.rest() == pytest.approx(LOOK_AT_CALLS)
    house.turn(0.1, "a stranger")
    house.rest()
    assert house.looks == [{"a"}], "nobody waits for that one"

    house.states["a"] = COMPLETED
    house.turn(0.1, "a")
    assert future.result(PATIENCE) is COMPLETED


def test_a_call_that_got_lost_costs_one_slow_look(house, room):
    house.reliable = True
    house.states = {"a": RUNNING}
    future = room.enter("a")
    house.rest()
    house.states["a"] = COMPLETED
    house.turn(LOOK_AT_CALLS)
    assert future.result(PATIENCE) is COMPLETED


def test_a_failure_reaches_each_as_a_copy_of_its_own_and_the_thread_goes_on(house, room):
    house.states = {"a": RUNNING}
    futures = [room.enter("a"), room.enter("a")]
    house.rest()
    house.failure = StoreUnavailable("down")
    house.turn(LONGEST_LOOK)
    failures = [future.exception(PATIENCE) for future in futures]
    assert all(isinstance(each, StoreUnavailable) and each.__cause__ is house.failure for each in failures)
    assert failures[0] is not failures[1]

    house.failure, house.states = None, {"a": COMPLETED}
    assert room.enter("a").result(PATIENCE) is COMPLETED


def test_whoever_cancels_leaves_nothing_behind(house, room):
    house.states = {"a": RUNNING, "b": RUNNING}
    gone, stays = room.enter("a"), room.enter("b")
    house.rest()
    assert gone.cancel()
    assert set(room._waits) == {"b"}
    house.states = {"a": COMPLETED, "b": COMPLETED}
    house.turn(LONGEST_LOOK)
    assert stays.result(PATIENCE) is COMPLETED
    assert house.looks[-1] == {"b"}
    assert room._waits == {}
    with pytest.raises(CancelledError):
        gone.result(0)


def test_a_wait_that_is_cancelled_during_a_look_gets_no_answer(house, room):
    house.states = {"a": COMPLETED}
    entered = threading.Event()
    futures = []

    def statuses(ids):
        assert entered.wait(PATIENCE)
        futures[0].cancel()
        return dict.fromkeys(ids, COMPLETED)

    room._statuses = statuses
    futures.append(room.enter("a"))
    entered.set()
    house.rest()
    assert futures[0].cancelled()


def test_the_thread_outstays_the_last_one_and_then_goes(house, room):
    house.states = {"a": COMPLETED}
    room.enter("a").result(PATIENCE)
    assert house.rest() == pytest.approx(LINGER)
    thread = room._thread
    house.turn(LINGER)
    assert house.closed.wait(PATIENCE)
    thread.join(PATIENCE)
    assert room._thread is None

    assert room.enter("a").result(PATIENCE) is COMPLETED, "a new one comes when somebody waits again"


def test_closing_ends_the_lingering_but_sends_nobody_away(house, room):
    house.states = {"a": RUNNING}
    future = room.enter("a")
    house.rest()
    room.close()
    assert not future.done()
    house.states = {"a": COMPLETED}
    house.turn(LONGEST_LOOK)
    assert future.result(PATIENCE) is COMPLETED
    assert house.closed.wait(PATIENCE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_the_child_of_a_fork_waits_in_a_room_of_its_own(house, room):
    house.states = {"a": RUNNING}
    room.enter("a")
    house.rest()
    child = os.fork()
    if child == 0:
        own = House(states={"b": COMPLETED})
        room._make_ends, room._statuses = lambda: own, own.statuses
        good = room._waits == {} and room.enter("b").result(PATIENCE) is COMPLETED and not house.closed.is_set()
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert set(room._waits) == {"a"}
