"""Parents, children and inboxes on ports in memory: what is told is stored with the transition that it is about."""

from dataclasses import replace

import pytest

from saga_celery.core import events as e
from saga_celery.core.plan import StepKind
from saga_celery.core.states import Direction, Failure, Policy, SagaStatus, Slot, StepStatus
from saga_celery.engine.coordinator import NUDGE_GRACE, Coordinator
from saga_celery.engine.correspondence import CHILD_TASK, child_id, child_message
from saga_celery.engine.ports import DEADLINE_SLOT, NUDGE_SLOT, InboxNews, inbox_slot
from saga_celery.engine.sweeper import Sweeper
from tests.core.stories import linear
from tests.engine.fakes import FakeRenderer, FakeStore, FakeTransport, flat_backoff

PARENT = linear("book", "pay", pay=StepKind.CHILD)
CHILD = replace(linear("charge"), saga="bank")
WAITING = linear("approve", "ship", approve=StepKind.WAIT)
PAY, CHARGE, BOOK = Slot("pay"), Slot("charge"), Slot("book")
PAYMENT = child_id("s1", PAY)
BROKEN = Failure(type="bank.Broke")


class Family:
    """A parent with a child, both moved by the same coordinator."""

    def __init__(self, graph=PARENT, **start):
        self.store = FakeStore()
        self.transport = FakeTransport()
        self.renderer = FakeRenderer()
        message = child_message(CHILD, {"cents": 7}, 60.0)
        self.renderer.answers[("pay", Direction.ACTION)] = lambda state: e.Rendered(
            slot=state.steps[("pay", 0)].slot(Direction.ACTION), message=message, policy=Policy()
        )
        self.renderer.answers[("approve", Direction.ACTION)] = e.WaitRendered(
            slot=Slot("approve"), policy=Policy(wait=100.0)
        )
        self.coordinator = Coordinator(
            store=self.store, transport=self.transport, renderer=self.renderer, backoff=flat_backoff
        )
        self.sweeper = Sweeper(
            store=self.store,
            transport=self.transport,
            coordinator=Coordinator(store=self.store, transport=self.transport, renderer=None, backoff=flat_backoff),
        )
        self.store.start(graph, **start)
        self.nudge()

    def nudge(self, saga_id="s1"):
        return self.coordinator.handle(saga_id, e.Nudged())

    def done(self, slot, saga_id="s1", result=None):
        attempt = self.store.sagas[saga_id].steps[(slot.step, slot.item)].activity(slot.direction).attempt
        return self.coordinator.handle(saga_id, e.AttemptSucceeded(slot=slot, attempt=attempt, result=result))

    def failed(self, slot, saga_id="s1"):
        attempt = self.store.sagas[saga_id].steps[(slot.step, slot.item)].activity(slot.direction).attempt
        return self.coordinator.handle(saga_id, e.AttemptFailed(slot=slot, attempt=attempt, failure=BROKEN))

    def paying(self):
        self.done(BOOK)
        self.nudge(PAYMENT)
        return self

    @property
    def parent(self):
        return self.store.sagas["s1"]

    @property
    def child(self):
        return self.store.sagas[PAYMENT]

    def waits(self, saga_id, slot):
        return self.store.row(saga_id, slot)


# ------------------------------------------------------------------------------------------------------------- children


def test_a_child_is_stored_with_the_transition_that_starts_it():
    family = Family()
    family.done(BOOK)
    child = family.child
    assert (child.name, child.input, child.status) == ("bank", {"cents": 7}, SagaStatus.PENDING)
    assert (child.parent.id, child.parent.slot) == ("s1", PAY)
    assert family.waits(PAYMENT, NUDGE_SLOT) is not None
    assert family.waits(PAYMENT, DEADLINE_SLOT).due.seconds == 60.0
    assert family.transport.nudged[-1] == PAYMENT
    assert [out.message.task for out in family.transport.sent] == ["book.action"]
    assert family.parent.steps[("pay", 0)].action.message.task == CHILD_TASK


def test_a_childs_end_is_left_in_its_parents_inbox_with_its_last_transition():
    family = Family().paying()
    family.done(CHARGE, PAYMENT, "paid")
    [news] = family.store.inbox("s1")
    assert news.news == e.ChildEnded(slot=PAY, status=SagaStatus.COMPLETED, result="done")
    assert family.waits("s1", inbox_slot(news.id)).due.seconds == NUDGE_GRACE
    assert family.transport.nudged[-1] == "s1"


def test_a_nudge_takes_what_lies_in_the_inbox():
    family = Family().paying()
    family.done(CHARGE, PAYMENT)
    [news] = family.store.inbox("s1")
    assert family.nudge().state.status is SagaStatus.COMPLETED
    assert family.store.inbox("s1") == []
    assert family.waits("s1", inbox_slot(news.id)) is None


def test_other_news_leave_the_inbox_alone():
    family = Family().paying()
    family.done(CHARGE, PAYMENT)
    family.coordinator.handle("s1", e.DeadlinePassed())
    assert len(family.store.inbox("s1")) == 1


def test_when_every_nudge_was_lost_the_sweeper_sends_another_one():
    family = Family().paying()
    family.done(CHARGE, PAYMENT)
    family.transport.nudged.clear()
    family.store.clock.advance(NUDGE_GRACE)
    family.sweeper.tick()
    assert "s1" in family.transport.nudged


def test_while_the_broker_is_down_everything_is_stored():
    family = Family()
    family.transport.down = True
    family.paying()
    assert family.store.sagas[PAYMENT].status is SagaStatus.RUNNING


def test_a_parent_that_turns_round_tells_its_child_once_and_waits_for_it():
    family = Family().paying()
    family.coordinator.handle("s1", e.OperatorAsked(verb=e.Verb.CANCEL, actor="ada", reason="no"))
    [news] = family.store.inbox(PAYMENT)
    assert news.news == e.ParentTurned(reason="no")
    assert family.transport.nudged[-1] == PAYMENT
    family.nudge(PAYMENT)
    assert family.parent.status is SagaStatus.RUNNING
    family.failed(CHARGE, PAYMENT)
    assert family.child.status is SagaStatus.COMPENSATED
    family.nudge()
    assert family.parent.status is SagaStatus.COMPENSATING


def test_a_childs_failure_is_its_parents():
    family = Family().paying()
    for _ in range(3):
        family.failed(CHARGE, PAYMENT)
        family.coordinator.handle(PAYMENT, e.RestOver(slot=CHARGE))
    family.nudge()
    assert family.parent.turn.failure == BROKEN


def test_a_child_that_was_cancelled_has_a_name_for_its_failure():
    family = Family()
    family.done(BOOK)
    family.coordinator.handle(PAYMENT, e.OperatorAsked(verb=e.Verb.CANCEL, actor="ada", reason="fraud"))
    family.nudge()
    failure = family.parent.turn.failure
    assert failure.type == "saga_celery.ChildCompensated"
    assert failure.message == "the child saga bank was undone: fraud"


def undoing():
    """The child was completed, and its parent undoes it."""
    family = Family(linear("pay", "ship", pay=StepKind.CHILD, keeps=("ship",)))
    family.nudge(PAYMENT)
    family.done(CHARGE, PAYMENT)
    family.nudge()
    family.coordinator.handle("s1", e.OperatorAsked(verb=e.Verb.CANCEL, actor="ada", reason="no"))
    family.done(Slot("ship"))
    assert family.parent.steps[("pay", 0)].status is StepStatus.COMPENSATING
    return family


def test_a_completed_child_is_undone_and_its_parent_told():
    family = undoing()
    assert family.nudge(PAYMENT).state.status is SagaStatus.COMPENSATING
    family.done(CHARGE._replace(direction=Direction.COMPENSATION), PAYMENT)
    assert family.nudge().state.status is SagaStatus.COMPENSATED


def test_a_child_that_is_undone_already_tells_so_when_it_is_asked():
    family = undoing()
    parent = family.parent
    family.nudge(PAYMENT)
    family.done(CHARGE._replace(direction=Direction.COMPENSATION), PAYMENT)
    family.store.taken |= {place for place in family.store.inboxes if place[0] == "s1"}  # that news got lost
    family.store.post(InboxNews(saga_id=PAYMENT, id="again", news=e.ParentTurned(reason="no", undo=True)))
    family.nudge(PAYMENT)
    assert [news.news.status for news in family.store.inbox("s1")] == [SagaStatus.COMPENSATED]
    assert family.parent == parent


def test_two_wishes_for_one_child_in_one_transition_are_one_letter():
    family = Family().paying()
    for number in range(2):
        asked = e.OperatorAsked(verb=e.Verb.CANCEL, actor="ada", reason=f"reason {number}")
        family.store.post(InboxNews(saga_id="s1", id=f"n{number}", news=asked))
    family.nudge()
    assert len(family.store.inbox(PAYMENT)) == 1


# ---------------------------------------------------------------------------------------------------------------- inbox


def event(number=1):
    return InboxNews(saga_id="s1", id=f"e{number}", news=e.EventSent(wait="approve", event_id=f"e{number}"))


def test_an_event_from_the_inbox_moves_the_saga_on():
    family = Family(WAITING)
    family.store.post(event())
    assert family.nudge().state.steps[("approve", 0)].status is StepStatus.SUCCEEDED
    assert [out.message.task for out in family.transport.sent] == ["ship.action"]


def test_events_are_decided_in_the_order_in_which_they_came():
    family = Family(WAITING)
    family.store.post(event(1), event(2), event(1))
    handled = family.nudge()
    assert [type(fact) for fact in handled.facts][:1] == [e.StepSucceeded]
    assert [fact.note for fact in handled.facts if isinstance(fact, e.NewsIgnored)] == [
        "event e2 changes nothing: the wait was over: succeeded"
    ]
    assert family.renderer.asked.count(("ship", Direction.ACTION)) == 1


def test_a_rival_that_takes_the_inbox_first_leaves_nothing_to_do():
    family = Family(WAITING)
    family.store.post(event())
    save = family.store.save

    def overtaken(change):
        family.store.save = save
        family.nudge()
        return save(change)

    family.store.save = overtaken
    assert family.nudge().facts == ()
    assert len(family.store.history["s1"]) == 2


def test_a_process_without_the_class_takes_the_event_all_the_same():
    family = Family(WAITING)
    family.store.post(event())
    family.renderer.answers[("ship", Direction.ACTION)] = None
    handled = family.nudge()
    assert handled.state.steps[("ship", 0)].status is StepStatus.SCHEDULED
    assert family.waits("s1", NUDGE_SLOT) is not None


@pytest.mark.parametrize("generation", [1, 2])
def test_the_id_of_a_child_is_made_of_its_parents_activity(generation):
    slot = PAY._replace(generation=generation)
    assert child_id("s1", slot) == child_id("s1", slot)
    assert child_id("s1", slot) != child_id("s1", slot._replace(generation=3))
