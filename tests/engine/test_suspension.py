"""A suspended saga costs the sweeper one look for each thing that falls due, and all of it acts at the resume."""

from dataclasses import replace

import pytest

from saga_celery.core import events as e
from saga_celery.core.retry import Retry
from saga_celery.core.states import Direction, Failure, Policy, SagaStatus, Slot, StepStatus
from saga_celery.engine.coordinator import Coordinator
from saga_celery.engine.ports import DEADLINE_SLOT, NUDGE_SLOT, Awaited, Running
from saga_celery.engine.sweeper import Sweeper
from tests.core.stories import linear
from tests.engine.fakes import FakeGate, FakeRenderer, FakeStore, FakeTransport, flat_backoff

A, B = Slot("a"), Slot("b")
SAFE = Policy(retry=Retry(attempts=3, delay=4.0), queue_grace=10.0, timeout=60.0, resend=True)
PROBED = replace(SAFE, probe=True, resend=False)


class House:
    def __init__(self, *paused, policy=SAFE, deadline=None, begun=True):
        self.store = FakeStore()
        self.transport = FakeTransport()
        self.gate = FakeGate(set(paused))
        self.task = self._coordinator(FakeRenderer(policy=policy))
        self.operator = self._coordinator(None)
        self.sweeper = Sweeper(
            store=self.store, transport=self.transport, coordinator=self._coordinator(None), gate=self.gate
        )
        self.store.start(linear("a", "b"), deadline=deadline)
        if begun:
            self.task.handle("s1", e.Nudged())

    def _coordinator(self, renderer):
        return Coordinator(
            store=self.store, transport=self.transport, renderer=renderer, backoff=flat_backoff, gate=self.gate
        )

    def take(self, news):
        self.task.handle("s1", news)
        return self

    def ask(self, verb):
        self.operator.handle("s1", e.OperatorAsked(verb=verb, actor="ada", reason="why"))
        return self

    def suspended(self):
        return self.ask(e.Verb.SUSPEND)

    def resumed(self):
        return self.ask(e.Verb.RESUME)

    def after(self, seconds):
        """How many rows a tick found."""
        self.store.clock.advance(seconds)
        return self.sweeper.tick().found

    def looks(self, ticks=50, seconds=60.0):
        return [self.after(seconds) for _ in range(ticks)]

    def asleep(self, slot=A):
        row = self.store.row("s1", slot)
        return row is not None and row.asleep

    @property
    def state(self):
        return self.store.sagas["s1"]

    @property
    def sent(self):
        return [(out.slot.step, out.slot.direction.value, out.attempt, out.resends) for out in self.transport.sent]


def test_a_message_that_nobody_took_is_not_sent_again():
    house = House().suspended()
    assert sum(house.looks()) == 1
    assert house.sent == [("a", "action", 1, 0)]
    house.resumed()
    assert house.after(0.0) == 1
    assert house.sent[1:] == [("a", "action", 1, 1)]


def test_one_that_is_taken_late_all_the_same_awaits_its_end():
    house = House().suspended()
    house.looks()
    house.take(e.AttemptStarted(slot=A, attempt=1, worker="w1"))
    assert house.store.row("s1", A).due.awaited is Awaited.END
    assert not house.asleep()


def test_a_rest_is_over_at_the_resume():
    house = House().take(e.AttemptFailed(slot=A, attempt=1, failure=Failure(type="X"))).suspended()
    assert sum(house.looks()) == 1
    assert house.sent == [("a", "action", 1, 0)]
    house.resumed().after(0.0)
    assert house.sent[1:] == [("a", "action", 2, 0)]


def test_a_rest_that_is_not_over_yet_keeps_its_time():
    rests = e.AttemptFailed(slot=A, attempt=1, failure=Failure(type="X"), retry_after=100.0)
    house = House().take(rests).suspended()
    house.looks(1, 30.0)
    house.resumed()
    assert house.after(60.0) == 0
    assert house.after(11.0) == 1
    assert len(house.sent) == 2


def test_an_attempt_under_way_is_watched_and_its_loss_recorded():
    house = House().take(e.AttemptStarted(slot=A, attempt=1, worker="w1")).suspended()
    running = Running(saga_id="s1", slot=A, attempt=1, worker="w1", started=True, seconds=1.0)
    for _ in range(3):
        house.store.beat("w1", running)
        house.after(15.0)
    house.looks(10, 15.0)
    assert house.state.step("a").status is StepStatus.BACKING_OFF
    assert house.state.step("a").action.lost
    assert house.asleep()
    house.resumed().after(0.0)
    assert house.sent[1:] == [("a", "action", 2, 0)]


def test_an_unknown_outcome_is_asked_for_after_the_resume():
    house = House(policy=PROBED).suspended().take(e.AttemptLost(slot=A, attempt=1, reason="gone"))
    assert house.state.step("a").status is StepStatus.PROBING
    assert sum(house.looks()) == 0
    house.resumed()
    assert house.transport.nudged == ["s1"]  # an operator's process has not the saga's code
    house.take(e.Nudged()).after(60.0)
    assert house.sent[1:] == [("a", "probe", 1, 0)]


def test_what_a_pause_holds_does_not_go_out_when_the_pause_ends_first():
    house = House("a.action").suspended()
    house.looks(5)
    assert house.asleep()
    house.gate.paused.clear()
    house.store.release_soon()
    house.looks(5)
    assert house.sent == []
    house.resumed().after(0.0)
    assert house.sent == [("a", "action", 1, 0)]


def test_the_deadline_is_remembered():
    house = House(deadline=5.0).suspended()
    house.looks(2)
    assert house.store.row("s1", DEADLINE_SLOT) is None
    assert house.state.status is SagaStatus.RUNNING
    house.take(e.AttemptSucceeded(slot=A, attempt=1)).resumed()
    assert house.sent[1:] == [("a", "compensation", 1, 0)]


def test_a_nudge_is_forgotten_and_made_anew():
    house = House(begun=False).suspended().take(e.Nudged())
    assert house.store.row("s1", NUDGE_SLOT) is None
    assert house.state.status is SagaStatus.PENDING
    house.resumed()
    assert house.store.row("s1", NUDGE_SLOT) is not None
    house.take(e.Nudged())
    assert house.sent == [("a", "action", 1, 0)]


def test_compensations_wait_and_need_no_code_of_the_saga():
    house = House(policy=replace(SAFE, fatal=("X",))).take(e.AttemptSucceeded(slot=A, attempt=1)).suspended()
    house.take(e.AttemptFailed(slot=B, attempt=1, failure=Failure(type="X")))
    assert house.state.step("b").status is StepStatus.FAILED
    assert ("a", "compensation", 1, 0) not in house.sent
    house.resumed()
    assert house.sent[-1] == ("a", "compensation", 1, 0)
    assert house.state.step("a").slot(Direction.COMPENSATION).generation == 1


@pytest.mark.parametrize("awaited", [Awaited.REST, Awaited.START])
def test_a_sweeper_that_looked_before_the_resume_sends_nothing_to_sleep(awaited):
    house = House()
    if awaited is Awaited.REST:
        house.take(e.AttemptFailed(slot=A, attempt=1, failure=Failure(type="X")))
    house.suspended()
    house.store.clock.advance(60.0)
    (row,) = house.store.overdue(10, 30.0)
    house.resumed()
    house.store.sleep(row)
    assert not house.asleep()
