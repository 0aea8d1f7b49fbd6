"""Sagas whose class no worker has: they are left alone for long, then parked, and go on when the class is back."""

import pytest

from saga_celery.core import events as e
from saga_celery.core.retry import Retry
from saga_celery.core.states import Direction, Failure, Policy, Reason, SagaStatus, Slot, StepStatus
from saga_celery.engine import orphans
from saga_celery.engine.coordinator import Coordinator
from saga_celery.engine.orphans import FEWEST, PATIENCE
from saga_celery.engine.ports import NUDGE_SLOT, Unanswered
from saga_celery.engine.sweeper import Sweeper
from tests.core.stories import linear
from tests.engine.fakes import FakeRenderer, FakeStore, FakeTransport, flat_backoff

A, B = Slot("a"), Slot("b")
POLICY = Policy(retry=Retry(attempts=3, delay=4.0), resend=True)


class Classless:
    """The sagas' code of a worker that has not this class."""

    def render(self, plan, state, wish):
        return None


class House:
    """Coordinator tasks with and without the class, and a sweeper that repeats nudges."""

    def __init__(self):
        self.store = FakeStore()
        self.transport = FakeTransport()
        self.renderer = FakeRenderer(policy=POLICY)
        self.able, self.unable = self._task(self.renderer), self._task(Classless())
        self.operator = self._task(None, parks=False)
        self.sweeper = Sweeper(store=self.store, transport=self.transport, coordinator=self.operator)
        self.store.start(linear("a", "b"))

    def _task(self, renderer, parks=True):
        return Coordinator(
            store=self.store,
            transport=self.transport,
            renderer=renderer,
            backoff=flat_backoff,
            parks_render_failures=parks,
        )

    def pass_time(self, seconds, task):
        """Let the sweeper nudge, and one kind of coordinator take every nudge; or none at all."""
        until = self.store.clock.now + seconds
        while (due := self.store.next_due()) is not None and due <= until:
            self.store.clock.now = max(due, self.store.clock.now)
            self.sweeper.tick()
            self.deliver(task)
        self.store.clock.now = until

    def deliver(self, task):
        while self.transport.nudged:
            saga_id = self.transport.nudged.pop(0)
            if task is not None:
                task.handle(saga_id, e.Nudged())

    def parked(self):
        self.pass_time(2 * PATIENCE, self.unable)
        assert self.state.status is SagaStatus.FAILED
        return self

    @property
    def state(self):
        return self.store.sagas["s1"]

    def kinds(self):
        return [type(fact) for _, facts in self.store.history["s1"] for fact in facts]


def test_it_is_not_parked_while_a_deploy_rolls():
    house = House()
    house.pass_time(PATIENCE - 1, house.unable)
    assert house.state.status is SagaStatus.RUNNING
    house.pass_time(PATIENCE, house.able)
    assert house.state.step("a").status is StepStatus.DISPATCHED
    assert house.store.row("s1", NUDGE_SLOT) is None


def test_after_long_it_is_parked_with_the_name_of_the_class():
    house = House().parked()
    [letter] = house.state.letters
    assert (letter.step, letter.direction, letter.reason) == ("a", Direction.ACTION, Reason.RENDER_FAILED)
    assert "no worker that took this saga up has a saga class named 'story'" in letter.detail
    assert house.state.parked_from is SagaStatus.RUNNING


def test_an_outage_of_all_coordinators_parks_nothing():
    house = House()
    house.unable.handle("s1", e.Nudged())
    house.transport.nudged.clear()
    house.pass_time(10 * PATIENCE, None)
    house.unable.handle("s1", e.Nudged())
    house.unable.handle("s1", e.Nudged())
    assert house.state.status is SagaStatus.RUNNING


@pytest.mark.parametrize(
    ("times", "seconds", "expected"),
    [(FEWEST, PATIENCE, True), (FEWEST - 1, PATIENCE, False), (FEWEST, PATIENCE - 1, False)],
)
def test_it_takes_both_time_and_nudges(times, seconds, expected):
    assert orphans.given_up(Unanswered(times=times, seconds=seconds)) is expected


def test_where_no_code_may_run_nothing_is_counted():
    house = House()
    house.unable.handle("s1", e.Nudged())
    for _ in range(FEWEST):
        house.operator.handle("s1", e.Nudged())
    assert house.store.row("s1", NUDGE_SLOT).failures == 0


def test_it_goes_on_by_itself_when_a_worker_has_the_class_again():
    house = House().parked()
    house.pass_time(PATIENCE, house.able)
    assert house.state.status is SagaStatus.RUNNING
    assert house.state.step("a").status is StepStatus.DISPATCHED
    assert house.state.letters == ()
    assert {(out.slot, out.attempt) for out in house.transport.sent} == {(A, 1)}
    [acted] = [fact for _, facts in house.store.history["s1"] for fact in facts if isinstance(fact, e.OperatorActed)]
    assert (acted.verb, acted.actor, acted.reason) == (e.Verb.RETRY, "saga_celery", "a worker has the class again")


def test_until_then_it_stays_parked_and_is_asked_after():
    house = House().parked()
    before = house.state
    house.pass_time(5 * PATIENCE, house.unable)
    assert house.state == before
    assert house.store.row("s1", NUDGE_SLOT) is not None
    house.operator.handle("s1", e.Nudged())
    assert house.state == before, "an operator's shell has no classes to go on with"


def test_a_person_can_retry_at_once_and_it_is_parked_again_where_the_class_is_still_missing():
    house = House().parked()
    retry = e.OperatorAsked(verb=e.Verb.RETRY, actor="ada", reason="deployed")
    house.operator.handle("s1", retry)
    assert house.state.status is SagaStatus.RUNNING
    assert house.store.row("s1", NUDGE_SLOT).failures == 0, "and its patience begins anew"
    house.pass_time(2 * PATIENCE, house.unable)
    assert house.state.status is SagaStatus.FAILED
    house.operator.handle("s1", retry)
    house.deliver(house.able)
    assert house.state.step("a").status is StepStatus.DISPATCHED


def test_a_compensation_and_a_result_wait_for_their_class_as_well():
    house = House()
    house.able.handle("s1", e.Nudged())
    house.unable.handle("s1", e.AttemptSucceeded(slot=A, attempt=1))
    house.parked()
    assert (house.state.letters[0].step, house.state.letters[0].direction) == ("a", Direction.COMPENSATION)
    house.pass_time(PATIENCE, house.able)
    house.able.handle("s1", e.AttemptSucceeded(slot=A, attempt=1))
    assert house.state.step("b").status is StepStatus.DISPATCHED
    house.renderer.answers[("b", Direction.COMPENSATION)] = e.Rendered(
        slot=B._replace(direction=Direction.COMPENSATION), message=None, policy=POLICY
    )
    house.renderer.answers["result"] = None
    house.able.handle("s1", e.AttemptSucceeded(slot=B, attempt=1))
    house.parked()
    assert [letter.step for letter in house.state.letters] == [""]
    del house.renderer.answers["result"]
    house.pass_time(PATIENCE, house.able)
    assert house.state.status is SagaStatus.COMPLETED


def test_what_a_raising_class_parked_is_left_to_a_person():
    house = House()
    broken = e.RenderFailed(slot=A, failure=Failure(type="builtins.ValueError", message="no"))
    house.renderer.answers[("a", Direction.ACTION)] = broken
    house.able.handle("s1", e.Nudged())
    assert house.state.status is SagaStatus.FAILED
    del house.renderer.answers[("a", Direction.ACTION)]
    house.able.handle("s1", e.Nudged())
    assert house.state.status is SagaStatus.FAILED


def test_a_worker_that_has_the_class_and_is_faster_wins():
    house = House()
    house.unable.handle("s1", e.Nudged())
    house.store.unanswered = lambda saga_id: Unanswered(times=FEWEST, seconds=PATIENCE)
    real = house.store.save

    def overtaken(change):
        house.store.save = real
        house.able.handle("s1", e.Nudged())
        return real(change)

    house.store.save = overtaken
    assert house.unable.handle("s1", e.Nudged()).facts == ()
    assert house.state.status is SagaStatus.RUNNING
    assert house.state.letters == ()


def test_two_that_find_the_class_back_let_it_go_on_once():
    house = House().parked()
    real = house.store.load
    parked = house.state
    house.able.handle("s1", e.Nudged())
    answers = [parked, parked]  # what a second one read before the first one was done
    house.store.load = lambda saga_id, *, fresh=True: answers.pop() if answers else real(saga_id)
    assert house.able.handle("s1", e.Nudged()).facts == ()
    assert house.kinds().count(e.OperatorActed) == 1
