"""A saga that was started on terms begins when the gates let it in, and hands on what it held when it stops."""

from dataclasses import replace

import pytest

from saga_celery.core import events as e
from saga_celery.core.plan import StepKind
from saga_celery.core.retry import Retry
from saga_celery.core.states import Policy, SagaStatus, Slot
from saga_celery.engine.admission import AT_ONCE, AdmissionControl, Terms
from saga_celery.engine.coordinator import Coordinator
from saga_celery.engine.ports import NUDGE_SLOT, Awaited, Due, InboxNews
from saga_celery.engine.sweeper import Sweeper
from tests.core.stories import linear
from tests.engine.fakes import FakeGates, FakeRenderer, FakeStore, FakeTransport, flat_backoff

A = Slot("a")
SAFE = Policy(retry=Retry(attempts=2, delay=4.0), queue_grace=50.0, timeout=60.0, resend=True)


LINE = linear("a")


class House:
    """A coordinator and a sweeper at one gate, and a saga before it."""

    def __init__(self, plan=LINE, **state):
        self.store = FakeStore()
        self.transport = FakeTransport()
        self.gates = FakeGates()
        self.task = self._coordinator(FakeRenderer(policy=SAFE))
        self.sweeper = Sweeper(store=self.store, transport=self.transport, coordinator=self._coordinator(None))
        before = replace(self.store.start(plan), **{"gated": True, **state})
        self.store.put(plan, before, Due(slot=NUDGE_SLOT, awaited=Awaited.ADMISSION, seconds=0.0))

    def _coordinator(self, renderer, **options):
        control = AdmissionControl(gates=self.gates, transport=self.transport)
        ports = {"store": self.store, "transport": self.transport, "renderer": renderer, "backoff": flat_backoff}
        return Coordinator(**{**ports, "admission": control, **options})

    def handle(self, news):
        return self.task.handle("s1", news)

    @property
    def status(self):
        return self.store.sagas["s1"].status


@pytest.fixture
def house():
    return House()


def test_who_is_not_let_in_does_nothing(house):
    handled = house.handle(e.Nudged())
    assert (handled.facts, house.status) == ((), SagaStatus.PENDING)
    assert house.transport.sent == []
    assert house.store.row("s1", NUDGE_SLOT).due.awaited is Awaited.ADMISSION


def test_who_is_let_in_begins_at_once(house):
    house.gates.inside.add("s1")
    assert e.SagaStarted() in house.handle(e.Nudged()).facts
    assert [message.slot for message in house.transport.sent] == [A]


def test_others_that_came_first_are_nudged(house):
    house.gates.next_in_turn = ["s7", "s8"]
    house.handle(e.Nudged())
    assert house.transport.nudged == ["s7", "s8"]


def test_a_broker_that_takes_no_nudge_harms_nobody(house):
    house.gates.next_in_turn = ["s7"]
    house.transport.down = True
    assert house.handle(e.Nudged()).facts == ()


def test_an_event_that_comes_before_its_turn_is_kept_and_does_not_let_it_in():
    house = House(linear("a", "approve", approve=StepKind.WAIT))
    house.store.post(InboxNews(saga_id="s1", id="e1", news=e.EventSent(wait="approve", event_id="e1", payload="yes")))
    handled = house.handle(e.Nudged())
    assert [type(fact) for fact in handled.facts] == [e.EventKept]
    assert (house.status, house.transport.sent, house.store.inbox("s1")) == (SagaStatus.PENDING, [], [])
    assert house.store.row("s1", NUDGE_SLOT).due.awaited is Awaited.ADMISSION


def test_a_wish_to_cancel_that_was_left_for_it_counts_before_its_turn(house):
    wish = e.OperatorAsked(verb=e.Verb.CANCEL, reason="the customer left", actor="ann")
    house.store.post(InboxNews(saga_id="s1", id="e1", news=wish))
    house.handle(e.Nudged())
    assert (house.status, house.gates.left, house.transport.sent) == (SagaStatus.COMPENSATED, ["s1"], [])


def test_who_was_not_to_wait_is_called_off_with_the_reason(house):
    house.gates.refused_by = "s7"
    house.handle(e.Nudged())
    saga = house.store.sagas["s1"]
    assert (saga.status, saga.turn.reason) == (SagaStatus.COMPENSATED, "its lock is held by saga s7")


def test_the_sweeper_lets_in_too_and_leaves_the_rendering_to_a_coordinator(house):
    house.sweeper.tick()
    assert (house.status, house.transport.nudged) == (SagaStatus.PENDING, [])
    house.gates.inside.add("s1")
    house.store.clock.advance(60)
    house.sweeper.tick()
    assert (house.status, house.transport.nudged, house.transport.sent) == (SagaStatus.RUNNING, ["s1"], [])


def test_whoever_stops_hands_on_what_it_held(house):
    house.gates.inside.add("s1")
    house.handle(e.Nudged())
    assert house.gates.left == []
    house.gates.next_in_turn = ["s7"]
    house.handle(e.AttemptSucceeded(slot=A, attempt=1))
    assert (house.status, house.gates.left, house.transport.nudged) == (SagaStatus.COMPLETED, ["s1"], ["s7"])


def test_one_that_waits_for_a_person_hands_on_once_when_it_stops_and_once_when_it_ends(house):
    house.gates.inside.add("s1")
    house.handle(e.Nudged())
    house.store.sagas["s1"] = replace(house.store.sagas["s1"], status=SagaStatus.RUNNING)
    unsafe = replace(house.store.sagas["s1"].steps[("a", 0)].action, policy=Policy(retry=Retry(attempts=1)))
    state = house.store.sagas["s1"]
    step = replace(state.steps[("a", 0)], action=unsafe)
    house.store.sagas["s1"] = replace(state, steps={("a", 0): step})
    house.handle(e.AttemptLost(slot=A, attempt=1, reason="worker w1 died"))
    assert (house.status, house.gates.left) == (SagaStatus.FAILED, ["s1"])
    house.handle(e.OperatorAsked(verb=e.Verb.RESOLVE, resolution=e.Resolution.DONE, reason="looked it up", actor="ann"))
    house.handle(e.Nudged())
    assert (house.status, house.gates.left) == (SagaStatus.COMPLETED, ["s1", "s1"])


def test_a_cancelled_one_hands_on_as_well(house):
    house.handle(e.OperatorAsked(verb=e.Verb.CANCEL, reason="changed my mind", actor="ann"))
    assert (house.status, house.gates.left) == (SagaStatus.COMPENSATED, ["s1"])


def test_a_database_that_is_away_at_the_hand_over_does_not_undo_the_end(house):
    house.gates.inside.add("s1")
    house.handle(e.Nudged())
    house.gates.down = True
    house.handle(e.AttemptSucceeded(slot=A, attempt=1))
    assert house.status is SagaStatus.COMPLETED


def test_a_saga_without_terms_never_comes_to_a_gate():
    house = House(gated=False)
    house.handle(e.Nudged())
    house.handle(e.AttemptSucceeded(slot=A, attempt=1))
    assert (house.status, house.gates.left) == (SagaStatus.COMPLETED, [])


def test_where_nobody_keeps_the_gates_everybody_comes_in(house):
    house.task = house._coordinator(FakeRenderer(policy=SAFE), admission=None)
    house.handle(e.Nudged())
    assert house.status is SagaStatus.RUNNING
    house.handle(e.AttemptSucceeded(slot=A, attempt=1))
    assert house.status is SagaStatus.COMPLETED


def test_the_priority_goes_with_every_message_and_nudge():
    house = House(priority=7)
    house.gates.inside.add("s1")
    house.sweeper.tick()
    house.handle(e.Nudged())
    assert house.transport.priorities == [7]
    assert [message.priority for message in house.transport.sent] == [7]


@pytest.mark.parametrize(
    ("terms", "gated", "scheduled"),
    [
        (AT_ONCE, False, False),
        (Terms(lock="order-7"), True, False),
        (Terms(max_running=1), True, False),
        (Terms(delay=1.0), True, True),
    ],
)
def test_terms(terms, gated, scheduled):
    assert (terms.gated, terms.scheduled) == (gated, scheduled)
