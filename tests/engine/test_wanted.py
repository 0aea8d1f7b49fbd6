"""Whether an attempt shall go on, and how its signs of life move its lease."""

import pytest

from saga_celery.core import events as e
from saga_celery.core.plan import Plan, PlannedStep
from saga_celery.core.retry import Retry
from saga_celery.core.states import Direction, Policy, Slot
from saga_celery.engine.coordinator import LOOK_AGAIN
from saga_celery.engine.ports import Running
from saga_celery.engine.wanted import wanted
from tests.core.stories import PROBE, TWICE, asks, done, fails, linear, lost, rested, starts, story
from tests.engine.test_sweeper import House

A, B = Slot("a"), Slot("b")
UNDO_A = Slot("a", 0, Direction.COMPENSATION)
PROBED = Policy(retry=Retry(attempts=2), probe=True)


def goes_on(told, slot, attempt=1, worker="w1"):
    return wanted(told.plan, told.state, slot, attempt, worker)


def test_an_attempt_that_is_out_is_wanted():
    told = story(linear("a")).given()
    assert goes_on(told, A)
    assert goes_on(told.given(starts("a", "w1")), A)


def test_what_another_worker_claimed_is_not():
    told = story(linear("a")).given(starts("a", "w2"))
    assert not goes_on(told, A)


@pytest.mark.parametrize(("slot", "attempt"), [(A, 2), (Slot("a", generation=2), 1), (B, 1), (UNDO_A, 1)])
def test_nor_is_any_other_attempt(slot, attempt):
    assert not goes_on(story(linear("a", "b")).given(), slot, attempt)


def test_nor_what_is_settled_or_rests():
    assert not goes_on(story(linear("a", "b")).given(done("a")), A)
    assert not goes_on(story(linear("a"), a=TWICE).given(lost("a")), A)


def test_nor_what_would_only_be_undone():
    told = story(linear("a", "b")).given(done("a"), asks(e.Verb.CANCEL))
    assert not goes_on(told, B)
    assert not goes_on(story(linear("a")).given(e.DeadlinePassed()), A)


def test_undoing_is_wanted_although_the_saga_turned_round():
    told = story(linear("a", "b"), b=Policy(retry=Retry(attempts=1))).given(done("a"), fails("b"))
    assert goes_on(told, UNDO_A)


def test_so_is_a_probe():
    told = story(linear("a"), a=PROBED).given(lost("a"), rested("a", direction=PROBE))
    assert goes_on(told, Slot("a", 0, PROBE))
    assert not goes_on(told, A)


def test_beside_a_pivot_that_took_effect_nothing_is_undone():
    steps = (PlannedStep(name="p", pivot=True), PlannedStep(name="b"))
    told = story(Plan(saga="story", steps=steps)).given(asks(e.Verb.CANCEL))
    assert not goes_on(told, B)
    assert goes_on(told.given(done("p")), B)


# ------------------------------------------------------------------------------------------------------------ the lease


def seen(house, seconds):
    """The worker's own heartbeat lists the attempt."""
    house.store.beat("w1", Running(saga_id="s1", slot=A, attempt=1, worker="w1", started=True, seconds=seconds))


def attempt(house):
    return house.store.sagas["s1"].step("a").action.attempt


def test_signs_keep_an_attempt_alive_far_beyond_its_timeout():
    house = House().claimed()
    ran = 0
    while ran < 600:
        ran += 5
        house.store.clock.advance(5)
        assert house.store.extend("s1", A, 1, "w1")
        seen(house, ran)
        house.sweeper.tick()
    assert attempt(house) == 1
    for _ in range(5):
        ran += LOOK_AGAIN
        house.store.clock.advance(LOOK_AGAIN)
        seen(house, ran)
        house.sweeper.tick()
    assert attempt(house) == 2


def test_they_do_so_without_the_heartbeats_of_a_worker():
    house = House()
    for _ in range(40):
        house.store.clock.advance(30)
        assert house.store.extend("s1", A, 1, "w1")
        house.sweeper.tick()
    assert attempt(house) == 1
    for _ in range(5):
        house.after(LOOK_AGAIN)
    assert attempt(house) == 2
