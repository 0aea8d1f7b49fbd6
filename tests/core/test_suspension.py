"""Suspended: outcomes are recorded, nothing is sent, and what was due acts at the resume."""

from dataclasses import replace

import pytest

from saga_celery.core import events as e
from saga_celery.core.commands import Render, RenderResult, Rest, Send
from saga_celery.core.draft import NotAllowed, Outdated
from saga_celery.core.machine import decide
from saga_celery.core.retry import Retry
from saga_celery.core.states import Message, Policy, Reason, SagaStatus, Slot, StepStatus, TurnKind
from tests.core.stories import (
    COMPENSATION,
    FATAL,
    MISHAP,
    ONCE,
    PROBE,
    TWICE,
    Story,
    answers,
    asks,
    done,
    fails,
    linear,
    lost,
    plan,
    rested,
    starts,
    story,
    undone,
)

S = StepStatus
PENDING, RUNNING, COMPLETED, COMPENSATING, COMPENSATED = (
    SagaStatus.PENDING,
    SagaStatus.RUNNING,
    SagaStatus.COMPLETED,
    SagaStatus.COMPENSATING,
    SagaStatus.COMPENSATED,
)
SUSPEND, RESUME, CANCEL, RETRY = asks(e.Verb.SUSPEND), asks(e.Verb.RESUME), asks(e.Verb.CANCEL), asks(e.Verb.RETRY)
PROBED = Policy(retry=Retry(attempts=2), probe=True)


def sends(told: Story) -> bool:
    return any(isinstance(command, Send | Render | RenderResult) for command in told.commands)


class TestTheFlag:
    @pytest.mark.parametrize("news", [(), (e.Nudged(),), (e.Nudged(), lost("a"))], ids=["pending", "running", "parked"])
    def test_it_is_no_status(self, news):
        told = story(linear("a"), a=ONCE)
        for each in news:
            told.when(each)
        before = told.state.status
        told.when(SUSPEND).expect(e.OperatorActed, e.SagaSuspended).ends(before)
        assert told.state.suspended
        told.when(RESUME)
        assert not told.state.suspended

    def test_asked_twice_it_is_done_once(self):
        told = story(linear("a")).given(SUSPEND).when(SUSPEND).nothing()
        told.given(RESUME).when(RESUME).nothing()

    @pytest.mark.parametrize("news", [(done("a"),), (fails("a"),)], ids=["completed", "compensated"])
    def test_what_has_ended_is_not_suspended(self, news):
        told = story(linear("a"), a=ONCE).given(*news)
        with pytest.raises(NotAllowed, match=r"the saga is COMP\w+; there is nothing to suspend"):
            told.when(SUSPEND)
        told.when(RESUME).nothing()


class TestNothingIsSent:
    """Whatever is told to a suspended saga, it asks for no message and sends none."""

    def test_forward(self):
        told = story(linear("a", "b", keeps=("a", "b"))).given(SUSPEND).when(done("a"))
        told.expect(e.StepSucceeded).ends(RUNNING, a=S.SUCCEEDED)
        assert not sends(told)
        told.when(RESUME).ends(RUNNING, b=S.DISPATCHED)

    def test_to_the_end(self):
        told = story(linear("a", keeps=("a",))).given(SUSPEND, done("a")).ends(RUNNING)
        told.when(RESUME).ends(COMPLETED)

    def test_the_compensation_is_stored_with_its_success_all_the_same(self):
        told = story(linear("a", "b")).given(SUSPEND).when(done("a", 7))
        assert told.step("a").compensation.message.kwargs == {"result": 7}
        told.ends(RUNNING, a=S.SUCCEEDED)

    def test_one_that_can_not_be_made_parks(self):
        told = story(linear("a", "b")).where("a", COMPENSATION, MISHAP).given(SUSPEND, done("a"))
        told.letters(("a", Reason.RENDER_FAILED)).where("a", COMPENSATION, ...)
        told.when(RETRY).letters().ends(RUNNING, a=S.SUCCEEDED)
        assert not sends(told)
        told.when(RESUME).ends(RUNNING, b=S.DISPATCHED)

    def test_round(self):
        told = story(linear("a", "b"), b=ONCE).given(done("a"), SUSPEND).when(fails("b")).ends(RUNNING, b=S.FAILED)
        assert not sends(told)
        told.when(RESUME).expect(e.OperatorActed, e.SagaResumed, e.SagaCompensating, e.CompensationDispatched)

    def test_backward(self):
        told = story(linear("a", "b", "c"), c=ONCE).given(done("a"), done("b"), fails("c"), SUSPEND)
        told.when(undone("b")).expect(e.StepCompensated).when(RESUME).ends(COMPENSATING, a=S.COMPENSATING)

    def test_to_the_end_of_the_way_back(self):
        told = story(linear("a", "b"), b=ONCE).given(done("a"), fails("b"), SUSPEND, undone("a")).ends(COMPENSATING)
        told.when(RESUME).ends(COMPENSATED)

    def test_a_retry(self):
        told = story(linear("a")).given(SUSPEND).when(fails("a", MISHAP)).ends(RUNNING, a=S.BACKING_OFF)
        told.when(rested("a")).nothing().when(RESUME).ends(RUNNING, a=S.BACKING_OFF)
        told.when(rested("a")).ends(RUNNING, a=S.DISPATCHED)

    def test_a_retry_of_a_compensation(self):
        told = story(linear("a", "b"), b=ONCE).given(done("a"), fails("b"), SUSPEND)
        told.when(fails("a", MISHAP, direction=COMPENSATION)).ends(COMPENSATING, a=S.COMPENSATION_BACKING_OFF)
        told.when(rested("a", COMPENSATION)).nothing()

    def test_a_probe(self):
        told = story(linear("a"), a=PROBED).given(SUSPEND).when(lost("a"))
        told.expect(e.AttemptEnded, e.ProbeScheduled).ends(RUNNING, a=S.PROBING)
        assert not sends(told)
        told.when(RESUME).asks(Rest).when(rested("a", PROBE)).expect(e.ProbeDispatched)

    def test_a_probe_that_was_asked_answers(self):
        told = story(linear("a"), a=PROBED).given(lost("a"), rested("a", PROBE), SUSPEND)
        told.when(answers("a", e.Verdict.FOUND, 7)).ends(RUNNING, a=S.SUCCEEDED)

    def test_a_second_question(self):
        told = story(linear("a"), a=PROBED).given(lost("a"), rested("a", PROBE), SUSPEND)
        told.when(answers("a", e.Verdict.NEVER)).asks(Rest).when(rested("a", PROBE)).nothing()

    def test_a_message_that_was_made_meanwhile(self):
        told = story(linear("a", "b", keeps=("a", "b"))).given()
        for slot in (Slot("a"), Slot("a", direction=PROBE)):
            rendered = e.Rendered(slot=slot, message=Message(task="late"), policy=TWICE)
            told.given(SUSPEND).when(rendered).nothing()
        told.when(e.RenderAborted(slot=Slot("a"), reason="late")).nothing()
        told.when(e.ResultRendered(result=1)).nothing()


class TestWhatIsUnderWay:
    def test_it_may_begin(self):
        story(linear("a")).given(SUSPEND).when(starts("a")).expect(e.AttemptClaimed)

    def test_it_may_be_lost_and_is_repeated_after_the_resume(self):
        told = story(linear("a")).given(starts("a"), SUSPEND).when(lost("a")).ends(RUNNING, a=S.BACKING_OFF)
        told.given(RESUME).when(rested("a")).ends(RUNNING, a=S.DISPATCHED)

    def test_a_copy_does_not_take_over_from_the_dead(self):
        told = story(linear("a")).given(starts("a"), SUSPEND).when(starts("a", "w2"))
        told.expect(e.AttemptEnded, e.RetryScheduled).ends(RUNNING, a=S.BACKING_OFF)

    def test_it_may_come_into_doubt(self):
        told = story(linear("a"), a=ONCE).given(SUSPEND).when(lost("a")).letters(("a", Reason.IN_DOUBT))
        told.when(asks(e.Verb.RESOLVE, "a", e.Resolution.DONE, 7)).letters().ends(RUNNING, a=S.SUCCEEDED)


class TestCancelAndDeadline:
    @pytest.mark.parametrize("news", [CANCEL, e.DeadlinePassed()], ids=["cancel", "deadline"])
    def test_they_are_remembered_before_the_saga_began(self, news):
        told = story(linear("a"))
        told.when(SUSPEND).when(news).ends(PENDING).when(e.Nudged()).nothing()
        told.when(news).nothing()
        told.when(RESUME).expect(e.OperatorActed, e.SagaResumed, e.SagaCompensated).ends(COMPENSATED)

    @pytest.mark.parametrize("news", [CANCEL, e.DeadlinePassed()], ids=["cancel", "deadline"])
    def test_they_are_remembered_while_it_runs(self, news):
        told = story(linear("a", "b")).given(done("a"), SUSPEND, done("b"))
        told.when(news).ends(RUNNING, a=S.SUCCEEDED, b=S.SUCCEEDED).when(news).nothing()
        told.when(RESUME).ends(COMPENSATING, b=S.COMPENSATING)

    def test_cancelled_twice_is_cancelled_once(self):
        told = story(linear("a")).given(CANCEL).when(CANCEL).nothing()
        assert told.state.turn.kind is TurnKind.CANCEL

    def test_a_saga_that_never_began_begins_at_the_resume(self):
        told = story(linear("a")).when(SUSPEND).when(e.Nudged()).nothing().ends(PENDING)
        told.when(RESUME).ends(RUNNING, a=S.DISPATCHED)


class TestVerbsOfASuspendedSaga:
    """What they would send rests, and is due at once when the saga is resumed."""

    def test_retry_of_what_is_parked(self):
        told = story(linear("p", "a", pivot="p"), a=ONCE).given(done("p"), fails("a"), SUSPEND).when(RETRY)
        told.asks(Rest(slot=Slot("a"), attempt=1, seconds=0.0)).ends(RUNNING, a=S.BACKING_OFF)
        assert not sends(told)
        told.given(RESUME).when(rested("a")).ends(RUNNING, a=S.DISPATCHED)

    def test_retry_of_a_compensation(self):
        told = story(linear("a", "b"), b=ONCE, a_compensation=ONCE)
        told.given(done("a"), fails("b"), fails("a", direction=COMPENSATION), SUSPEND).when(RETRY)
        told.asks(Rest(slot=Slot("a", direction=COMPENSATION), attempt=1, seconds=0.0))
        told.ends(COMPENSATING, a=S.COMPENSATION_BACKING_OFF)

    def test_retry_of_what_rests(self):
        told = story(linear("a")).given(fails("a", MISHAP), SUSPEND).when(RETRY)
        told.asks(Rest(slot=Slot("a"), attempt=1, seconds=0.0)).ends(RUNNING, a=S.BACKING_OFF)

    def test_retry_under_a_new_key_is_made_at_the_resume(self):
        fatally = Policy(retry=Retry(attempts=1), fatal=(FATAL.type,))
        told = story(linear("p", "a", pivot="p"), a=fatally).given(done("p"), fails("a"), SUSPEND).when(RETRY)
        told.ends(RUNNING, a=S.SCHEDULED).when(RESUME).asks(Send(slot=Slot("a", generation=2), attempt=1))

    def test_retry_with_other_arguments(self):
        told = story(linear("p", "a", pivot="p"), a=ONCE).given(done("p"), fails("a"), SUSPEND)
        told.when(asks(e.Verb.RETRY, "a", kwargs={"cents": 5})).ends(RUNNING, a=S.BACKING_OFF)
        told.given(RESUME).when(rested("a")).asks(Send(slot=Slot("a", generation=2), attempt=1))
        assert told.step("a").action.message.kwargs["cents"] == 5

    def test_a_compensation_with_other_arguments(self):
        told = story(linear("a", "b"), b=ONCE, a_compensation=ONCE)
        told.given(done("a"), fails("b"), fails("a", direction=COMPENSATION), SUSPEND)
        told.when(asks(e.Verb.RETRY, "a", args=(1,))).ends(COMPENSATING, a=S.COMPENSATION_BACKING_OFF)

    def test_skip(self):
        told = story(linear("p", "a", pivot="p"), a=ONCE).given(done("p"), fails("a"), SUSPEND)
        told.when(asks(e.Verb.SKIP)).ends(RUNNING, a=S.SKIPPED).when(RESUME).ends(COMPLETED)


class TestSideBySide:
    def test_each_branch_tells_its_outcome_and_none_goes_on(self):
        told = story(plan(("a", "b"), ("c",))).given(SUSPEND, done("a"), done("b")).ends(RUNNING)
        assert told.state.step("c") is None
        told.when(RESUME).ends(RUNNING, c=S.DISPATCHED)


def test_what_is_expected_of_a_version_is_refused_at_any_other():
    told = story(linear("a")).given()
    for version in (1, 3):
        with pytest.raises(Outdated, match=rf"asked of version {version}, but the saga has moved on to version 0"):
            told.when(asks(e.Verb.CANCEL, version=version))
    told.when(asks(e.Verb.CANCEL, version=0)).expect(e.OperatorActed, e.SagaTurned)


def test_a_decision_on_a_suspended_saga_leaves_the_state_alone():
    told = story(linear("a")).given(SUSPEND)
    assert decide(told.plan, told.state, e.Nudged()).state is told.state


@pytest.mark.parametrize(("gated", "status"), [(True, SagaStatus.PENDING), (False, SagaStatus.RUNNING)])
def test_what_waits_to_be_let_in_is_resumed_into_that(gated, status):
    told = story(linear("a"))
    told.state = replace(told.state, gated=gated, suspended=True)
    decision = decide(told.plan, told.state, asks(e.Verb.RESUME))
    assert (decision.state.status, decision.state.suspended) == (status, False)
