"""The sweeper on ports in memory: whatever was awaited and did not come."""

from dataclasses import replace

import pytest

from saga_celery.core import events as e
from saga_celery.core.retry import Retry
from saga_celery.core.states import Direction, Failure, Policy, SagaStatus, Slot, StepStatus
from saga_celery.engine.coordinator import LOOK_AGAIN, NUDGE_GRACE, Coordinator
from saga_celery.engine.ports import DEADLINE_SLOT, NUDGE_SLOT, Awaited, Due, Running
from saga_celery.engine.sweeper import LEASE, LONG_QUEUE, LONGEST_GRACE, MOST_HOLDS, UNLISTED, Sweeper
from saga_celery.errors import StoreUnavailable
from tests.core.stories import linear
from tests.engine.fakes import FakeRenderer, FakeStore, FakeTransport, flat_backoff

A = Slot("a")
SAFE = Policy(retry=Retry(attempts=3, delay=4.0), queue_grace=10.0, timeout=60.0, resend=True)
ONCE = Policy(retry=Retry(attempts=1), queue_grace=10.0, timeout=60.0)


class House:
    """A sweeper and a saga whose first step was just sent."""

    def __init__(self, policy=SAFE, *, deadline=None, batch=200, begun=True):
        self.store = FakeStore()
        self.transport = FakeTransport()
        self.task = self._coordinator(FakeRenderer(policy=policy))
        self.sweeper = self.another(batch)
        self.store.start(linear("a", "b"), deadline=deadline)
        if begun:
            self.handle(e.Nudged())

    def _coordinator(self, renderer):
        return Coordinator(store=self.store, transport=self.transport, renderer=renderer, backoff=flat_backoff)

    def another(self, batch=200):
        return Sweeper(store=self.store, transport=self.transport, coordinator=self._coordinator(None), batch=batch)

    def handle(self, news):
        return self.task.handle("s1", news)

    def after(self, seconds):
        self.store.clock.advance(seconds)
        return self.sweeper.tick()

    def claimed(self, worker="w1"):
        self.handle(e.AttemptStarted(slot=A, attempt=1, worker=worker))
        return self

    def beat(self, worker="w1", *, seconds=1.0, started=True, holds=True):
        run = Running(saga_id="s1", slot=A, attempt=1, worker=worker, started=started, seconds=seconds)
        self.store.beat(worker, *([run] if holds else []))

    @property
    def status(self):
        return self.store.sagas["s1"].step("a").status

    def due_in(self, slot=A):
        return self.store.row("s1", slot).at - self.store.clock.now

    def resent(self):
        return [(out.attempt, out.resends, out.claim) for out in self.transport.sent[1:]]


class TestTick:
    def test_nothing_due(self):
        assert House().after(9.0).found == 0

    def test_a_row_is_held_for_a_lease_so_a_second_copy_finds_nothing(self):
        house = House()
        house.store.clock.advance(10.0)
        rows = house.store.overdue(10, LEASE)
        assert len(rows) == 1
        assert house.another().tick().found == 0
        assert house.after(LEASE).found == 1

    def test_one_batch_at_a_time(self):
        house = House(deadline=5.0, batch=1)
        assert house.after(10.0).found == 1
        assert house.after(0.0).found == 1

    def test_a_row_that_can_not_be_dealt_with_stops_nobody(self, caplog):
        house = House()
        house.store.start(linear("x"), "poison")
        del house.store.plans[linear("x").hash]
        house.store.put(
            linear("a", "b"),
            replace(house.store.sagas["poison"], plan_hash="gone"),
            Due(slot=Slot("x"), awaited=Awaited.REST, seconds=0.0),
        )
        swept = house.after(10.0)
        assert swept.failed == 1
        assert house.resent() == [(1, 1, True)]
        assert "could not deal with" in caplog.text
        row = house.store.row("poison", Slot("x"))
        assert (row.failures, row.at - house.store.clock.now) == (1, LEASE)

    def test_it_is_put_off_longer_each_time(self):
        house = House()
        house.store.put(
            linear("a", "b"),
            replace(house.store.sagas["s1"], id="poison", plan_hash="gone"),
            Due(slot=Slot("x"), awaited=Awaited.REST, seconds=0.0),
        )
        waits = []
        for _ in range(7):
            house.store.clock.now = house.store.row("poison", Slot("x")).at
            house.sweeper.tick()
            waits.append(house.store.row("poison", Slot("x")).at - house.store.clock.now)
        assert waits == [30.0, 60.0, 120.0, 240.0, 480.0, LONGEST_GRACE, LONGEST_GRACE]

    def test_without_a_database_the_tick_is_over(self):
        house = House()
        house.store.load = lambda saga_id, **_: (_ for _ in ()).throw(StoreUnavailable("down"))
        with pytest.raises(StoreUnavailable):
            house.after(10.0)


class TestNudgesAndTimers:
    def test_a_nudge_is_repeated_ever_more_slowly(self):
        house = House(begun=False)
        waits = []
        for _ in range(3):
            house.after(house.due_in(NUDGE_SLOT))
            waits.append(house.due_in(NUDGE_SLOT))
        assert house.transport.nudged == ["s1"] * 3
        assert waits == [NUDGE_GRACE, 2 * NUDGE_GRACE, 4 * NUDGE_GRACE]

    def test_a_nudge_is_not_repeated_into_a_long_queue(self):
        house = House(begun=False)
        house.transport.waiting = LONG_QUEUE
        house.after(house.due_in(NUDGE_SLOT))
        assert (house.transport.nudged, house.due_in(NUDGE_SLOT)) == ([], NUDGE_GRACE)
        house.transport.waiting = LONG_QUEUE - 1
        house.after(NUDGE_GRACE)
        assert house.transport.nudged == ["s1"]

    def test_but_not_held_for_ever_by_a_queue_that_stays_long(self):
        house = House(begun=False)
        house.transport.waiting = LONG_QUEUE
        times = 0
        while not house.transport.nudged:
            house.after(house.due_in(NUDGE_SLOT))
            times += 1
        assert times == MOST_HOLDS + 1

    def test_one_that_the_broker_refuses_is_repeated_soon(self):
        house = House(begun=False)
        house.transport.down = True
        assert house.after(0.0).failed == 0
        assert house.due_in(NUDGE_SLOT) == NUDGE_GRACE / 2

    def test_a_rest_is_over(self):
        house = House()
        house.handle(e.AttemptFailed(slot=A, attempt=1, failure=Failure(type="X")))
        house.after(4.0)
        assert house.status is StepStatus.DISPATCHED
        assert house.resent() == [(2, 0, False)]

    def test_one_that_moves_nothing_comes_back_later(self):
        house = House()
        house.handle(e.AttemptFailed(slot=A, attempt=1, failure=Failure(type="X")))
        house.store.sagas["s1"] = replace(house.store.sagas["s1"], status=SagaStatus.FAILED, steps={})
        house.after(4.0)
        assert house.due_in() == LEASE

    def test_one_of_a_saga_that_is_gone_too(self):
        house = House()
        house.handle(e.AttemptFailed(slot=A, attempt=1, failure=Failure(type="X")))
        del house.store.sagas["s1"]
        assert house.after(4.0).failed == 0
        assert house.due_in() == LEASE

    def test_the_deadline(self):
        house = House(deadline=5.0)
        house.after(5.0)
        assert house.store.sagas["s1"].turn is not None
        assert house.store.row("s1", DEADLINE_SLOT) is None

    def test_the_deadline_of_a_saga_that_never_began(self):
        house = House(deadline=5.0, begun=False)
        house.after(5.0)
        assert house.store.sagas["s1"].status is SagaStatus.COMPENSATED
        assert house.store.rows == {}


class TestNotStarted:
    def test_sent_again_after_a_grace_that_doubles_and_uses_up_no_attempt(self):
        house = House()
        waits = []
        for _ in range(3):
            house.after(house.due_in())
            waits.append(house.due_in())
        assert house.resent() == [(1, 1, True), (1, 2, True), (1, 3, True)]
        assert waits == [20.0, 40.0, 80.0]
        assert house.store.sagas["s1"].step("a").action.tries == 1

    def test_not_while_the_queue_is_simply_long(self):
        house = House()
        house.transport.waiting = 500
        house.after(10.0)
        assert (house.resent(), house.due_in()) == ([], 10.0)

    def test_but_not_for_ever(self):
        house = House()
        house.transport.waiting = 500
        for _ in range(MOST_HOLDS):
            house.after(10.0)
        assert house.resent() == [(1, 1, True)]

    def test_what_was_hastened_does_not_wait_for_a_long_queue(self):
        house = House()
        house.transport.waiting = 500
        house.store.hasten("s1", [A], 0.0)
        house.after(1.0)
        assert house.resent() == [(1, 1, True)]

    def test_when_the_broker_refuses_it_is_tried_again_soon(self):
        house = House()
        house.transport.down = True
        house.after(10.0)
        assert (house.due_in(), house.store.row("s1", A).resends) == (NUDGE_GRACE / 2, 0)

    def test_not_when_some_worker_has_it_in_its_own_queue(self):
        house = House()
        house.store.clock.advance(9.0)
        house.beat(started=False)
        house.after(1.0)
        assert (house.resent(), house.due_in()) == ([], LOOK_AGAIN)

    def test_not_when_it_runs_unclaimed(self):
        house = House()
        house.store.clock.advance(9.0)
        house.beat(seconds=6.0)
        house.after(1.0)
        row = house.store.row("s1", A)
        assert (row.due.awaited, row.due.worker, house.due_in()) == (Awaited.END, "w1", LOOK_AGAIN)
        assert house.resent() == []

    @pytest.mark.parametrize("gone", ["saga", "step", "attempt", "generation"])
    def test_a_row_that_the_saga_has_left_behind_is_put_off(self, gone):
        house = House()
        if gone == "saga":
            del house.store.sagas["s1"]
        elif gone == "step":
            house.store.sagas["s1"] = replace(house.store.sagas["s1"], steps={})
        else:
            row = house.store.rows[("s1", "a", 0, "action")]
            other = {"attempt": {"attempt": 9}, "generation": {"slot": A._replace(generation=2)}}
            row.due = replace(row.due, **other[gone])
        house.after(10.0)
        assert (house.resent(), house.due_in()) == ([], LEASE)

    def test_what_a_worker_claims_at_this_moment_is_not_sent_again_under_its_claim(self, monkeypatch):
        house = House(ONCE)
        house.store.clock.advance(10.0)
        unclaimed = house.store.overdue(1, LEASE)
        monkeypatch.setattr(house.store, "overdue", lambda batch, lease: unclaimed)
        house.claimed()
        house.sweeper.tick()
        assert house.resent() == []

    def test_a_row_without_a_message_is_put_off(self):
        house = House()
        probe = Slot("a", 0, Direction.PROBE)
        house.store._await("s1", Due(slot=probe, awaited=Awaited.START, seconds=0.0))
        house.after(0.0)
        assert house.due_in(probe) == LEASE


class TestNotEnded:
    def test_seen_running_it_is_left_alone(self):
        house = House(ONCE).claimed()
        house.store.clock.advance(14.0)
        house.beat(seconds=14.0)
        house.after(1.0)
        assert (house.status, house.due_in()) == (StepStatus.DISPATCHED, LOOK_AGAIN)

    def test_to_the_end_of_its_lease(self):
        house = House(ONCE).claimed()
        for ran in (15.0, 30.0, 45.0, 58.0):
            house.store.clock.now = ran
            house.beat(seconds=ran)
            house.sweeper.tick()
        house.store.clock.now = 60.0
        house.beat(seconds=60.0)
        house.sweeper.tick()
        assert house.status is StepStatus.IN_DOUBT
        assert "no outcome within 60 s" in house.store.sagas["s1"].letters[0].detail

    def test_a_dead_worker_lost_it(self):
        house = House()
        house.beat(holds=False)
        house.claimed()
        house.after(16.0)
        assert house.status is StepStatus.BACKING_OFF
        assert "w1 died" in house.store.sagas["s1"].step("a").action.failure.message

    def test_a_living_worker_that_does_not_list_it_lost_the_child(self):
        house = House().claimed()
        house.store.clock.advance(14.0)
        house.beat(holds=False)
        house.after(1.0)
        assert house.status is StepStatus.BACKING_OFF
        assert "lost the process" in house.store.sagas["s1"].step("a").action.failure.message

    def test_but_not_before_its_heartbeat_had_time_to_list_it(self):
        house = House(replace(SAFE, timeout=UNLISTED - 2)).claimed()
        house.store.row("s1", A).at = UNLISTED - 5
        house.store.clock.advance(UNLISTED - 6)
        house.beat(holds=False)
        house.after(1.0)
        assert (house.status, house.due_in()) == (StepStatus.DISPATCHED, 3.0)

    def test_a_worker_that_never_had_a_heartbeat_is_not_dead(self):
        house = House().claimed()
        house.after(15.0)
        assert (house.status, house.due_in()) == (StepStatus.DISPATCHED, LOOK_AGAIN)
        house.after(45.0)
        assert house.status is StepStatus.BACKING_OFF

    def test_a_copy_that_lies_in_a_queue_does_not_prolong_the_lease(self):
        house = House(ONCE).claimed()
        house.store.clock.advance(59.0)
        house.beat("w2", started=False)
        house.after(1.0)
        assert house.status is StepStatus.IN_DOUBT

    def test_a_foreign_attempt_is_lost_when_its_lease_ends(self):
        house = House(begun=False)
        house.transport.foreign = frozenset({"a.action"})
        house.handle(e.Nudged())
        house.after(60.0)
        assert house.status is StepStatus.BACKING_OFF
