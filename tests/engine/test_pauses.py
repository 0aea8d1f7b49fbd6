"""What is paused stays in the store: nothing goes out, no attempt is used up, and all goes on when the pause ends."""

import pytest

from saga_celery.core import events as e
from saga_celery.core.retry import Retry
from saga_celery.core.states import Direction, Failure, Policy, SagaStatus, Slot
from saga_celery.engine.coordinator import HELD_LOOK, UNSENT_GRACE, Coordinator
from saga_celery.engine.gate import LIVES, OpenGate, PauseGate
from saga_celery.engine.ports import Awaited, Pause, PauseKind
from saga_celery.engine.sweeper import LEASE, LONGEST_HELD, Sweeper
from tests.core.stories import linear
from tests.engine.fakes import FakeGate, FakeRenderer, FakeStore, FakeTransport, flat_backoff

A, B = Slot("a"), Slot("b")
UNDO_A = Slot("a", 0, Direction.COMPENSATION)
TASK = "a.action"
SAFE = Policy(retry=Retry(attempts=2, delay=4.0), queue_grace=50.0, timeout=60.0, resend=True)
BROKEN = Failure(type="builtins.ValueError", message="no such sku")


class House:
    """A coordinator and a sweeper behind one gate."""

    def __init__(self, *paused, policy=SAFE):
        self.store = FakeStore()
        self.transport = FakeTransport()
        self.gate = FakeGate(set(paused))
        self.task = self._coordinator(FakeRenderer(policy=policy))
        self.sweeper = Sweeper(
            store=self.store, transport=self.transport, coordinator=self._coordinator(None), gate=self.gate
        )
        self.store.start(linear("a", "b"))
        self.handle(e.Nudged())

    def _coordinator(self, renderer):
        return Coordinator(
            store=self.store, transport=self.transport, renderer=renderer, backoff=flat_backoff, gate=self.gate
        )

    def handle(self, news):
        return self.task.handle("s1", news)

    def fails(self, slot=A, attempt=1):
        self.handle(e.AttemptFailed(slot=slot, attempt=attempt, failure=BROKEN))

    def succeeds(self, slot=A, attempt=1):
        self.handle(e.AttemptSucceeded(slot=slot, attempt=attempt))

    def after(self, seconds):
        self.store.clock.advance(seconds)
        return self.sweeper.tick()

    def unpause(self):
        self.gate.paused.clear()
        self.store.release_soon()

    def sent(self):
        return [(out.slot.step, out.slot.direction.value, out.attempt, out.resends) for out in self.transport.sent]

    def row(self, slot=A):
        row = self.store.row("s1", slot)
        return row.due.awaited, row.at - self.store.clock.now

    @property
    def state(self):
        return self.store.sagas["s1"]


def test_what_is_paused_is_stored_but_not_sent():
    house = House(TASK)
    assert house.sent() == []
    assert house.state.step("a").action.attempt == 1
    assert house.row() == (Awaited.HELD, HELD_LOOK)


@pytest.mark.parametrize("paused", [TASK, "story"])
def test_however_long_it_lasts_no_attempt_is_used_up(paused):
    house = House(paused)
    for _ in range(100):
        assert house.after(60.0).failed == 0
    assert house.sent() == []
    assert house.state.step("a").action.tries == 1
    assert house.store.row("s1", A).resends == 0


def test_looks_get_rarer_up_to_a_bound():
    house = House(TASK)
    house.after(HELD_LOOK)
    assert house.row() == (Awaited.HELD, HELD_LOOK)
    house.after(15.0)
    assert house.row() == (Awaited.HELD, 20.0)
    house.after(1000.0)
    assert house.row() == (Awaited.HELD, LONGEST_HELD)


def test_it_goes_out_as_a_first_delivery_when_the_pause_ends():
    house = House(TASK)
    house.after(500.0)
    house.unpause()
    house.after(0.0)
    assert house.sent() == [("a", "action", 1, 0)]
    assert house.row() == (Awaited.START, 50.0)
    house.after(49.0)
    assert len(house.sent()) == 1
    house.after(2.0)
    assert house.sent()[1:] == [("a", "action", 1, 1)]


def test_a_sweeper_asks_anew_before_it_leaves_something_held():
    house = House(TASK)
    house.after(HELD_LOOK)
    assert house.gate.refreshed == 1
    house.unpause()
    house.after(0.0)
    house.after(100.0)
    assert house.gate.refreshed == 2


def test_an_unpause_between_look_and_rest_is_not_overslept():
    house = House(TASK)
    house.store.clock.advance(HELD_LOOK)
    (row,) = house.store.overdue(10, LEASE)
    house.store.release_soon()
    house.store.hold(row, LONGEST_HELD)
    assert house.row()[1] <= 0


def test_two_sweepers_send_a_released_message_once():
    house = House(TASK)
    house.unpause()
    (row,) = house.store.overdue(10, LEASE)
    house.sweeper._held(row)
    house.sweeper._held(row)
    assert len(house.sent()) == 1


def test_another_task_goes_on():
    house = House("b.action")
    house.succeeds()
    assert house.sent() == [("a", "action", 1, 0)]
    assert house.row(B)[0] is Awaited.HELD


def test_retries_are_held():
    house = House()
    house.gate.paused = {TASK}
    house.fails()
    house.after(4.0)
    assert house.sent() == [("a", "action", 1, 0)]
    assert house.row() == (Awaited.HELD, HELD_LOOK)
    house.unpause()
    house.after(0.0)
    assert house.sent()[1:] == [("a", "action", 2, 0)]


def test_compensations_are_held():
    house = House()
    house.succeeds()
    house.gate.paused = {"a.compensation"}
    house.fails(B)
    house.after(4.0)
    house.fails(B, attempt=2)
    assert house.row(UNDO_A) == (Awaited.HELD, HELD_LOOK)
    house.unpause()
    house.after(0.0)
    assert house.sent()[-1] == ("a", "compensation", 1, 0)
    house.succeeds(UNDO_A)
    assert house.state.status is SagaStatus.COMPENSATED


def test_what_was_sent_before_is_not_sent_again_while_held():
    house = House()
    house.gate.paused = {TASK}
    for _ in range(10):
        house.after(60.0)
    assert house.sent() == [("a", "action", 1, 0)]
    assert house.row() == (Awaited.START, LONGEST_HELD)
    assert house.store.row("s1", A).resends == 0
    house.gate.paused.clear()
    house.after(LONGEST_HELD)
    assert house.sent()[1:] == [("a", "action", 1, 1)]


def test_outcomes_are_taken_while_held():
    house = House()
    house.gate.paused = {TASK, "b.action"}
    house.succeeds()
    assert house.state.step("a").status == "succeeded"


def test_a_foreign_worker_that_is_released_to_is_awaited_by_its_end():
    house = House(TASK)
    house.transport.foreign = frozenset({TASK})
    house.unpause()
    house.after(0.0)
    assert house.row() == (Awaited.END, 60.0)


def test_a_broker_that_is_down_at_the_release_gets_it_soon():
    house = House(TASK)
    house.unpause()
    house.transport.down = True
    assert house.after(0.0).failed == 0
    assert house.row() == (Awaited.START, UNSENT_GRACE)


def test_a_held_row_that_no_attempt_is_behind_is_put_off():
    house = House(TASK)
    house.store.clock.advance(HELD_LOOK)
    (row,) = house.store.overdue(10, LEASE)
    del house.store.sagas["s1"]
    house.sweeper._held(row)
    assert house.row() == (Awaited.HELD, LEASE)


# --------------------------------------------------------------------------------------------------------- the gate


def pause(kind, name):
    return Pause(kind=kind, name=name, since=None, actor="ann", reason="down")


class Pauses:
    """The stored pauses, how often they were read, and a clock."""

    def __init__(self, *pauses):
        self.pauses = list(pauses)
        self.reads = 0
        self.now = 100.0
        self.gate = PauseGate(self.read, clock=lambda: self.now)

    def read(self):
        self.reads += 1
        return list(self.pauses)


@pytest.mark.parametrize(("kind", "name", "held"), [
    (PauseKind.NAME, "shop.order", True),
    (PauseKind.NAME, "shop.*", True),
    (PauseKind.NAME, "billing.charge", False),
    (PauseKind.TASK, "billing.charge", True),
    (PauseKind.TASK, "billing.*", True),
    (PauseKind.TASK, "Billing.charge", False),
    (PauseKind.TASK, "shop.order", False),
])  # fmt: skip
def test_what_a_pause_covers(kind, name, held):
    assert Pauses(pause(kind, name)).gate.holds("shop.order", "billing.charge") is held


def test_the_pauses_are_read_once_in_a_while():
    pauses = Pauses()
    for _ in range(1000):
        assert not pauses.gate.holds("shop.order", "billing.charge")
    assert pauses.reads == 1
    pauses.pauses.append(pause(PauseKind.NAME, "shop.order"))
    pauses.now += LIVES
    assert not pauses.gate.holds("shop.order", "billing.charge")
    pauses.now += 0.1
    assert pauses.gate.holds("shop.order", "billing.charge")
    assert pauses.reads == 2


def test_a_refreshed_gate_knows_at_once():
    pauses = Pauses()
    assert not pauses.gate.holds("shop.order", "billing.charge")
    pauses.pauses.append(pause(PauseKind.NAME, "shop.order"))
    pauses.gate.refresh()
    assert pauses.gate.holds("shop.order", "billing.charge")


def test_an_open_gate_holds_nothing():
    gate = OpenGate()
    gate.refresh()
    assert not gate.holds("shop.order", "billing.charge")
