"""What may have been in the hands of a process that died."""

import pytest

from saga_celery.core.retry import Retry
from saga_celery.core.states import Direction, Policy, Slot
from saga_celery.engine.unstarted import is_out, unstarted
from tests.core.stories import ONCE, done, fails, linear, lost, plan, starts, story

A, B = Slot("a"), Slot("b")
UNDO_A = Slot("a", 0, Direction.COMPENSATION)
PROBED = Policy(retry=Retry(attempts=2), probe=True)


@pytest.mark.parametrize(("told", "slots"), [
    (story(linear("a", "b")).given(), [A]),
    (story(linear("a", "b")).given(done("a")), [B]),
    (story(plan(("a", "b"))).given(), [A, B]),
    (story(plan(("a", "b"))).given(starts("a", "w1")), [B]),
    (story(linear("a", "b"), b=ONCE).given(done("a"), fails("b")), [UNDO_A]),
    (story(linear("a"), a=PROBED).given(lost("a")), []),
    (story(linear("a")).given(done("a")), []),
])  # fmt: skip
def test_what_is_out_and_was_not_claimed(told, slots):
    assert list(unstarted(told.state)) == slots


@pytest.mark.parametrize(("slot", "attempt", "out"), [
    (A, 1, False), (B, 1, True), (B, 2, False), (Slot("b", generation=2), 1, False), (Slot("c"), 1, False),
])  # fmt: skip
def test_an_attempt_is_out_until_it_has_an_outcome(slot, attempt, out):
    assert is_out(story(linear("a", "b")).given(done("a")).state, slot, attempt) is out
