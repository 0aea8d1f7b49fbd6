"""The coordinator on ports in memory: it renders, decides, stores in one transaction, and only then publishes."""

import pytest

from saga_celery.core import events as e
from saga_celery.core.draft import NotAllowed
from saga_celery.core.retry import Retry
from saga_celery.core.states import (
    Direction,
    Failure,
    Message,
    Policy,
    Reason,
    SagaStatus,
    Slot,
    StepStatus,
)
from saga_celery.engine.coordinator import LOOK_AGAIN, MOST_CONFLICTS, NUDGE_GRACE, UNSENT_GRACE, Coordinator, outgoing
from saga_celery.engine.ports import DEADLINE_SLOT, NUDGE_SLOT, Awaited
from saga_celery.errors import PublishFailed, RetryTransaction, StoreUnavailable
from tests.core.stories import linear, plan
from tests.engine.fakes import FakeRenderer, FakeStore, FakeTransport, flat_backoff

A, B = Slot("a"), Slot("b")
UNDO_A = Slot("a", 0, Direction.COMPENSATION)
BROKEN = Failure(type="builtins.ValueError", message="no such sku")
CAREFUL = Policy(retry=Retry(attempts=2, delay=4.0), queue_grace=30.0, timeout=60.0)
SAFE = Policy(retry=Retry(attempts=3, delay=4.0), queue_grace=30.0, timeout=60.0, resend=True)


class House:
    """A coordinator and its fakes."""

    def __init__(self, graph=None, *, policy=SAFE, renders=True, parks=False, deadline=None, on_facts=None):
        self.store = FakeStore()
        self.transport = FakeTransport()
        self.renderer = FakeRenderer(policy=policy)
        self.coordinator = Coordinator(
            store=self.store,
            transport=self.transport,
            renderer=self.renderer if renders else None,
            backoff=flat_backoff,
            parks_render_failures=parks,
            on_facts=on_facts,
        )
        self.store.start(graph or linear("a", "b"), deadline=deadline)

    def handle(self, news):
        return self.coordinator.handle("s1", news)

    def begun(self):
        self.handle(e.Nudged())
        return self

    @property
    def state(self):
        return self.store.sagas["s1"]

    def row(self, slot):
        return self.store.row("s1", slot)

    def sent(self):
        return [(out.slot.step, out.slot.direction.value, out.attempt) for out in self.transport.sent]


class TestHandling:
    def test_one_transition_renders_stores_and_sends(self):
        house = House()
        handled = house.handle(e.Nudged())
        assert [type(fact) for fact in handled.facts] == [
            e.SagaStarted,
            e.StepScheduled,
            e.ActivityRendered,
            e.StepDispatched,
        ]
        assert handled.state == house.state
        assert house.state.version == 1
        assert house.sent() == [("a", "action", 1)]
        assert house.row(A).due.awaited is Awaited.START
        assert house.row(A).at == 30.0
        assert house.row(NUDGE_SLOT) is None

    def test_a_saga_runs_to_its_end_and_leaves_no_row(self):
        house = House(deadline=100.0).begun()
        house.handle(e.AttemptSucceeded(slot=A, attempt=1, result=1))
        house.handle(e.AttemptSucceeded(slot=B, attempt=1, result=2))
        assert house.state.status is SagaStatus.COMPLETED
        assert house.state.result == "done"
        assert house.store.rows == {}
        assert [version for version, _ in house.store.history["s1"]] == [1, 2, 3]

    def test_no_such_saga(self):
        assert House().coordinator.handle("other", e.Nudged()) is None

    def test_a_refusal_stores_nothing(self):
        house = House().begun()
        with pytest.raises(NotAllowed):
            house.handle(e.OperatorAsked(verb=e.Verb.SKIP, actor="ada", reason="why"))
        assert house.state.version == 1

    def test_whoever_listens_is_told_after_the_commit(self):
        told = []
        house = House(on_facts=lambda handled: told.append((handled.state.version, len(handled.facts))))
        house.begun().handle(e.Nudged())
        assert told == [(1, 4)]

    def test_an_outage_of_the_database_is_the_caller_s(self):
        house = House()
        house.store.save = lambda change: (_ for _ in ()).throw(StoreUnavailable("down"))
        with pytest.raises(StoreUnavailable):
            house.handle(e.Nudged())
        assert house.transport.sent == []


class TestConflicts:
    def overtaken(self, house, times):
        """Let another process come first, several times."""
        real, left = house.store.save, [times]

        def save(change):
            if left[0]:
                left[0] -= 1
                return False
            return real(change)

        house.store.save = save

    def test_the_loser_decides_again(self):
        house = House()
        self.overtaken(house, 2)
        house.handle(e.Nudged())
        assert house.sent() == [("a", "action", 1)]
        assert house.renderer.asked.count(("a", Direction.ACTION)) == 3

    def test_and_gives_up_when_that_never_ends(self):
        house = House()
        self.overtaken(house, MOST_CONFLICTS)
        with pytest.raises(RetryTransaction, match="overtaken"):
            house.handle(e.Nudged())

    def test_a_remembered_state_that_is_out_of_date_swallows_no_news(self):
        house = House().begun()
        old = house.state
        house.handle(e.AttemptFailed(slot=A, attempt=1, failure=BROKEN))
        house.handle(e.RestOver(slot=A))
        house.store.load = lambda saga_id, *, fresh=True: house.state if fresh else old
        house.handle(e.AttemptFailed(slot=A, attempt=2, failure=BROKEN))
        assert house.state.step("a").status is StepStatus.BACKING_OFF

    def test_a_person_is_answered_from_what_is_true_now(self):
        house = House().begun()
        asked = []
        real = house.store.load
        house.store.load = lambda saga_id, *, fresh=True: asked.append(fresh) or real(saga_id)
        house.handle(e.OperatorAsked(verb=e.Verb.CANCEL, actor="ada", reason="why"))
        assert asked == [True]


class TestRendering:
    def test_the_compensation_is_stored_with_the_success(self):
        house = House().begun()
        house.handle(e.AttemptSucceeded(slot=A, attempt=1, result=1))
        assert house.state.step("a").compensation.message == Message(task="a.compensation")

    def test_without_the_saga_s_code_the_wish_becomes_a_nudge(self):
        house = House(renders=False).begun()
        assert house.state.step("a").status is StepStatus.SCHEDULED
        assert house.row(NUDGE_SLOT).at == NUDGE_GRACE
        assert house.transport.nudged == ["s1"]

    def test_which_is_not_repeated_in_a_circle(self):
        house = House(renders=False).begun()
        house.handle(e.Nudged())
        assert house.state.version == 1
        assert house.transport.nudged == ["s1"]
        assert house.row(NUDGE_SLOT) is not None

    def test_a_nudge_for_nothing_is_forgotten(self):
        house = House().begun()
        house.store._await(
            "s1",
            house.store.rows[("s1", "a", 0, "action")].due.__class__(
                slot=NUDGE_SLOT, awaited=Awaited.NUDGE, seconds=1.0
            ),
        )
        house.handle(e.Nudged())
        assert house.row(NUDGE_SLOT) is None

    def test_only_a_nudge_settles_the_nudge(self):
        house = House(plan(("a", "b")), renders=True).begun()
        house.renderer.answers[("a", Direction.COMPENSATION)] = None
        house.handle(e.AttemptSucceeded(slot=A, attempt=1))
        assert house.row(NUDGE_SLOT) is not None
        house.handle(e.AttemptFailed(slot=B, attempt=1, failure=BROKEN))
        house.handle(e.RestOver(slot=B))
        assert house.row(NUDGE_SLOT) is not None
        del house.renderer.answers[("a", Direction.COMPENSATION)]
        house.handle(e.Nudged())
        assert house.row(NUDGE_SLOT) is None

    def test_a_failure_away_from_the_coordinator_task_is_handed_on(self):
        house = House().begun()
        house.renderer.answers[("b", Direction.ACTION)] = e.RenderFailed(slot=B, failure=BROKEN)
        house.handle(e.AttemptSucceeded(slot=A, attempt=1))
        assert house.state.status is SagaStatus.RUNNING
        assert house.state.step("a").status is StepStatus.SUCCEEDED
        assert house.transport.nudged == ["s1"]

    def test_a_failure_in_the_coordinator_task_parks(self):
        house = House(parks=True)
        house.renderer.answers[("a", Direction.ACTION)] = e.RenderFailed(slot=A, failure=BROKEN)
        house.begun()
        assert house.state.status is SagaStatus.FAILED
        assert house.state.letters[0].reason is Reason.RENDER_FAILED
        assert house.store.rows == {}

    def test_no_nudge_is_left_for_a_saga_that_ended_meanwhile(self):
        house = House(plan(("a", "b")))
        house.renderer.answers[("a", Direction.ACTION)] = e.RenderAborted(slot=A, reason="no")
        house.renderer.answers[("b", Direction.ACTION)] = None
        house.renderer.render, real = (lambda *args: real(*args)), house.renderer.render
        house.begun()
        assert house.state.status is SagaStatus.COMPENSATED
        assert house.store.rows == {}

    def test_each_wish_is_asked_for_once(self):
        house = House(plan(("a", "b"))).begun()
        assert house.renderer.asked == [("a", Direction.ACTION), ("b", Direction.ACTION)]


class TestAwaiting:
    def test_a_started_attempt_awaits_its_end(self):
        house = House(policy=CAREFUL).begun()
        house.handle(e.AttemptStarted(slot=A, attempt=1, worker="w1"))
        row = house.row(A)
        assert (row.due.awaited, row.due.worker, row.due.epoch, row.at) == (Awaited.END, "w1", 1, LOOK_AGAIN)
        assert len(house.transport.sent) == 1

    def test_a_rest_is_what_the_back_off_says(self):
        house = House().begun()
        house.handle(e.AttemptFailed(slot=A, attempt=1, failure=BROKEN))
        assert (house.row(A).due.awaited, house.row(A).at) == (Awaited.REST, 4.0)

    def test_or_what_the_task_asked_for(self):
        house = House().begun()
        house.handle(e.AttemptFailed(slot=A, attempt=1, failure=BROKEN, retry_after=99.0))
        assert house.row(A).at == 99.0

    def test_a_foreign_worker_announces_no_start(self):
        house = House()
        house.transport.foreign = frozenset({"a.action"})
        house.begun()
        row = house.row(A)
        assert (row.due.awaited, row.due.worker, row.at) == (Awaited.END, "", 60.0)
        assert house.sent() == [("a", "action", 1)]

    def test_what_is_settled_is_awaited_no_more(self):
        house = House(linear("a")).begun()
        house.handle(e.AttemptFailed(slot=A, attempt=1, failure=BROKEN))
        house.handle(e.AttemptSucceeded(slot=A, attempt=1))
        assert house.store.rows == {}

    def test_a_deadline_that_was_dealt_with_is_gone(self):
        house = House(deadline=10.0).begun()
        house.handle(e.DeadlinePassed())
        assert house.row(DEADLINE_SLOT) is None

    def test_one_that_came_while_the_saga_is_parked_stays(self):
        house = House(parks=True, deadline=10.0)
        house.renderer.answers[("a", Direction.ACTION)] = e.RenderFailed(slot=A, failure=BROKEN)
        house.begun().handle(e.DeadlinePassed())
        assert house.row(DEADLINE_SLOT) is not None


class TestPublishing:
    def test_what_the_broker_refuses_is_stored_and_sent_soon(self):
        house = House()
        house.transport.down = True
        house.begun()
        assert house.state.step("a").status is StepStatus.DISPATCHED
        assert house.row(A).at == UNSENT_GRACE

    def test_the_same_for_nudges(self):
        house = House(renders=False)
        house.transport.down = True
        house.begun()
        assert house.row(NUDGE_SLOT).at == UNSENT_GRACE

    def test_rests_are_not_hastened(self):
        house = House(plan(("a", "b"))).begun()
        house.transport.down = True
        house.handle(e.AttemptFailed(slot=A, attempt=1, failure=BROKEN))
        assert house.row(A).at == 4.0

    def test_a_message_carries_what_its_worker_needs(self):
        house = House(policy=CAREFUL).begun()
        out = house.transport.sent[0]
        assert (out.saga_id, out.saga_name, out.plan_hash) == ("s1", "story", linear("a", "b").hash)
        assert (out.slot, out.attempt, out.epoch, out.timeout, out.resends) == (A, 1, 0, 60.0, 0)
        assert out.message == Message(task="a.action")

    @pytest.mark.parametrize(("policy", "resends", "claim"), [(CAREFUL, 0, True), (SAFE, 0, False), (SAFE, 1, True)])
    def test_what_must_not_run_twice_is_claimed_and_so_is_every_second_copy(self, policy, resends, claim):
        house = House(policy=policy).begun()
        assert outgoing(house.state, A, 1, resends=resends).claim is claim

    def test_the_broker_s_own_error_is_the_only_one_that_is_expected(self):
        house = House()
        house.transport.send = lambda messages: (_ for _ in ()).throw(PublishFailed("full"))
        assert house.handle(e.Nudged()).facts
