"""`compensate` undoes what was complete; `rerun` runs again what no longer stands."""

import pytest

from saga_celery.core import events as e
from saga_celery.core.commands import Send
from saga_celery.core.draft import NotAllowed
from saga_celery.core.retry import Retry
from saga_celery.core.states import Failure, Policy, Reason, SagaStatus, Slot, StepStatus, TurnKind
from tests.core.stories import (
    COMPENSATION,
    FATAL,
    MISHAP,
    ONCE,
    asks,
    done,
    fails,
    linear,
    lost,
    plan,
    rested,
    story,
    undone,
)

S = StepStatus
COMPLETED, COMPENSATING, COMPENSATED, RUNNING, FAILED = (
    SagaStatus.COMPLETED,
    SagaStatus.COMPENSATING,
    SagaStatus.COMPENSATED,
    SagaStatus.RUNNING,
    SagaStatus.FAILED,
)
COMPENSATE = asks(e.Verb.COMPENSATE)
BLIND = Policy(retry=Retry(attempts=1), null_safe=True)


def rerun(step):
    return asks(e.Verb.RERUN, step)


class TestCompensate:
    def test_all_that_took_effect_is_undone_in_reverse(self):
        told = story(plan(("a",), ("b", "c"), ("d",))).given(done("a", 1), done("b"), done("c"), done("d"))
        told.ends(COMPLETED).when(COMPENSATE)
        told.expect(e.OperatorActed, e.SagaTurned, e.SagaCompensating, e.CompensationDispatched)
        told.given(undone("d"), undone("c"), undone("b"), undone("a")).ends(COMPENSATED)
        assert told.undone() == ["d", "c", "b", "a"] or told.undone() == ["d", "b", "c", "a"]
        assert (told.state.turn.kind, told.state.turn.reason, told.state.result) == (
            TurnKind.REQUEST,
            "she knows",
            None,
        )

    def test_what_was_stored_with_the_success_is_sent(self):
        told = story(linear("a")).given(done("a", {"id": 7})).where("a", COMPENSATION, MISHAP).when(COMPENSATE)
        told.ends(COMPENSATING, a=S.COMPENSATING)
        assert told.step("a").compensation.message.kwargs == {"result": {"id": 7}}

    def test_with_nothing_to_undo_it_is_done_at_once(self):
        story(linear("a", keeps=("a",))).given(done("a")).when(COMPENSATE).ends(COMPENSATED, a=S.SUCCEEDED)

    def test_asked_twice_it_is_done_once(self):
        story(linear("a")).given(done("a"), COMPENSATE).when(COMPENSATE).nothing()

    def test_a_compensation_that_fails_parks(self):
        told = story(linear("a"), a_compensation=ONCE).given(done("a"), COMPENSATE, fails("a", direction=COMPENSATION))
        told.letters(("a", Reason.COMPENSATION_EXHAUSTED)).given(asks(e.Verb.RETRY), undone("a")).ends(COMPENSATED)

    @pytest.mark.parametrize(
        ("told", "sentence"),
        [
            (story(linear("a", "p", pivot="p")).given(done("a"), done("p")), "its pivot, the point of no return"),
            (story(linear("a")).given(), "the saga is RUNNING; what has not ended is turned round by `cancel`"),
            (story(linear("a"), a=ONCE).given(fails("a")), "the saga is COMPENSATED already"),
            (story(linear("a"), a=ONCE).given(lost("a")), "the saga is FAILED.*possible now: a: resolve"),
        ],
    )
    def test_refused(self, told, sentence):
        with pytest.raises(NotAllowed, match=sentence):
            told.when(COMPENSATE)


def undone_story(*names, keeps=()):
    """All steps but the last took effect and were undone."""
    told = story(linear(*names, keeps=keeps), **{names[-1]: ONCE}).given(*(done(name, 1) for name in names[:-1]))
    told.given(fails(names[-1]), *(undone(name) for name in reversed(names[:-1]) if name not in keeps))
    return told.ends(COMPENSATED)


class TestRerunOfWhatWasUndone:
    def test_all_that_was_undone_runs_as_a_new_generation(self):
        told = undone_story("a", "b").when(rerun("a"))
        told.expect(
            e.OperatorActed,
            e.SagaRerun(from_step="a", generation=2),
            e.StepReopened(slot=Slot("a", generation=2)),
            e.StepReopened(slot=Slot("b", generation=2), heard=False),
            e.StepScheduled,
            e.ActivityRendered,
            e.StepDispatched,
        )
        told.asks(Send(slot=Slot("a", generation=2), attempt=1)).ends(RUNNING, a=S.DISPATCHED, b=S.REOPENED)
        told.given(done("a", 2), done("b", 3)).ends(COMPLETED, a=S.SUCCEEDED, b=S.SUCCEEDED)
        assert (told.step("a").result, told.state.turn, told.step("b").action.generation) == (2, None, 2)

    def test_what_stands_before_it_keeps_its_result(self):
        told = undone_story("a", "b", "c", keeps=("a",)).when(rerun("b")).ends(RUNNING, a=S.SUCCEEDED, b=S.DISPATCHED)
        assert told.step("a").result == 1

    def test_it_may_be_undone_again_and_run_again(self):
        told = undone_story("a", "b").given(rerun("a"), done("a", 2), fails("b"))
        told.ends(COMPENSATING).asks(Send(slot=Slot("a", 0, COMPENSATION, 2), attempt=1))
        told.given(undone("a")).ends(COMPENSATED).when(rerun("a"))
        told.asks(Send(slot=Slot("a", generation=3), attempt=1))

    def test_no_key_of_any_direction_comes_back(self):
        """A compensation that ran twice has come further than its action."""
        told = story(linear("a", "b"), a=BLIND, b=ONCE).given(lost("a"), done("a", 7))
        told.given(undone("a")).ends(COMPENSATED).when(rerun("a"))
        told.asks(Send(slot=Slot("a", generation=3), attempt=1))

    def test_turned_round_before_its_turn_it_waits_for_another_rerun(self):
        told = undone_story("a", "b", "c")
        told.policies["a"] = ONCE
        told.given(rerun("a"), fails("a"))
        told.ends(COMPENSATED, a=S.FAILED, b=S.REOPENED, c=S.REOPENED).when(rerun("a"))
        told.asks(Send(slot=Slot("a", generation=3), attempt=1)).given(done("a"))
        told.asks(Send(slot=Slot("b", generation=2), attempt=1))

    def test_from_one_that_waits_it_begins_with_its_generation(self):
        told = story(linear("a", "b", "c", keeps=("a",)), b=ONCE, c=ONCE)
        told.given(done("a"), done("b"), fails("c"), undone("b"), rerun("b"), fails("b"))
        told.ends(COMPENSATED, b=S.FAILED, c=S.REOPENED)
        told.when(rerun("b")).expect(
            e.OperatorActed, e.SagaRerun, e.StepReopened, e.StepScheduled, e.ActivityRendered, e.StepDispatched
        )

    def test_side_by_side_all_branches_run(self):
        told = story(plan(("a",), ("b", "c"), ("d",), keeps=("a",)), d=ONCE)
        told.given(done("a"), done("b"), done("c"), fails("d"), undone("b"), undone("c")).ends(COMPENSATED)
        told.when(rerun("c")).ends(RUNNING, a=S.SUCCEEDED, b=S.DISPATCHED, c=S.DISPATCHED, d=S.REOPENED)

    def test_one_that_never_began_has_no_generation_to_count_from(self):
        told = story(linear("a"))
        told.when(asks(e.Verb.CANCEL)).ends(COMPENSATED).when(rerun("a"))
        told.expect(e.OperatorActed, e.SagaRerun(from_step="a", generation=1), *DISPATCHED).asks(
            Send(slot=Slot("a"), attempt=1)
        )

    def test_a_skipped_step_is_asked_again(self):
        told = story(linear("a", "b", "c"), c=ONCE).where("b", answer=None)
        told.given(done("a"), fails("c"), undone("a")).ends(COMPENSATED, b=S.SKIPPED).where("b", answer=...)
        told.given(rerun("a"), done("a")).ends(RUNNING, b=S.DISPATCHED)

    def test_one_that_still_waited_for_its_turn_keeps_its_generation(self):
        told = story(linear("a", "b", keeps=("a",)), b=ONCE).where("a", answer=None).given(fails("b"))
        told.where("a", answer=...).given(rerun("a"), asks(e.Verb.CANCEL), done("a"))
        told.ends(COMPENSATED, a=S.SUCCEEDED, b=S.REOPENED).when(rerun("b"))
        told.asks(Send(slot=Slot("b", generation=2), attempt=1))

    def test_one_that_was_skipped_may_be_the_first(self):
        told = story(linear("a", "b"), b=ONCE).where("a", answer=None).given(fails("b")).ends(COMPENSATED, a=S.SKIPPED)
        told.where("a", answer=...).when(rerun("a")).ends(RUNNING, a=S.DISPATCHED, b=S.REOPENED)


DISPATCHED = (e.StepScheduled, e.ActivityRendered, e.StepDispatched)


class TestRerunRefused:
    def test_behind_a_step_that_was_undone(self):
        with pytest.raises(
            NotAllowed, match="step 'b' comes after others that do not stand; the earliest possible is 'a'"
        ):
            undone_story("a", "b").when(rerun("b"))

    def test_from_a_step_that_stands(self):
        with pytest.raises(NotAllowed, match=r"what step 'a' did was not undone, .*; the earliest possible is 'b'"):
            undone_story("a", "b", "c", keeps=("a",)).when(rerun("a"))

    def test_when_one_behind_it_stands(self):
        with pytest.raises(
            NotAllowed, match=r"what step 'b' did was not undone, .*; no step of this saga can be rerun"
        ):
            undone_story("a", "b", "c", keeps=("b",)).when(rerun("a"))

    def test_of_branches_each_is_named(self):
        told = story(plan(("a", "b"), ("c",)), c=ONCE).given(done("a"), done("b"), fails("c"), undone("a"), undone("b"))
        with pytest.raises(NotAllowed, match="the earliest possible is 'a' or 'b'"):
            told.when(rerun("c"))

    def test_of_a_step_that_there_is_not(self):
        with pytest.raises(NotAllowed, match="the saga has no step 'z', only a, b"):
            undone_story("a", "b").when(rerun("z"))

    def test_while_a_letter_waits(self):
        told = story(linear("a"), a=BLIND).given(lost("a"), undone("a"), done("a", 7))
        with pytest.raises(NotAllowed, match="something of it waits for a person first; possible now: a: resolve"):
            told.when(rerun("a"))

    @pytest.mark.parametrize(
        ("told", "sentence"),
        [
            (story(linear("a")).given(done("a")), "the saga is COMPLETED, and all that it did stands: `compensate`"),
            (story(linear("a")).given(), "the saga is RUNNING and moves by itself"),
            (
                story(linear("a"), a=ONCE).given(lost("a")),
                "step 'a' has not failed for good; no step of it can be rerun",
            ),
        ],
    )
    def test_where_it_stands(self, told, sentence):
        with pytest.raises(NotAllowed, match=sentence):
            told.when(rerun("a"))


class TestRerunOfWhatIsParked:
    def exhausted(self):
        return story(linear("p", "a", "b", pivot="p"), a=ONCE).given(done("p"), fails("a"))

    def test_it_is_made_anew(self):
        told = self.exhausted()
        told.policies["a"] = Policy(retry=Retry(attempts=9))
        told.when(rerun("a")).expect(
            e.OperatorActed, e.SagaRerun(from_step="a", generation=2), e.StepReopened, e.SagaUnparked, *DISPATCHED
        )
        told.letters().ends(RUNNING, a=S.DISPATCHED)
        assert told.step("a").action.policy.retry.attempts == 9

    def test_of_any_other_step_it_is_refused(self):
        with pytest.raises(NotAllowed, match="step 'p' has not failed for good; a rerun can begin at 'a'"):
            self.exhausted().when(rerun("p"))

    def test_of_one_that_may_have_taken_effect_too(self):
        told = story(linear("p", "a", pivot="p")).given(done("p"), lost("a"), rested("a"), fails("a", MISHAP))
        with pytest.raises(NotAllowed, match="nobody knows whether an earlier attempt of step 'a' took effect"):
            told.when(rerun("a"))


class TestLateNewsOfAnOlderGeneration:
    """What nobody had heard of when the step was opened again is news, and nothing else will undo it."""

    LATE = e.AttemptSucceeded(slot=Slot("b"), attempt=1, result=7)

    def rerun(self):
        return undone_story("a", "b").given(rerun("a"), done("a", 2))

    def test_while_the_saga_runs_it_parks(self):
        told = self.rerun().when(self.LATE).expect(e.NewsIgnored, e.SagaParked)
        told.letters(("b", Reason.LATE_EFFECT)).ends(FAILED, b=S.DISPATCHED)
        assert told.state.letters[0].result == 7
        told.given(asks(e.Verb.RESOLVE), done("b")).ends(COMPLETED)

    @pytest.mark.parametrize("end", [done("b"), fails("b")], ids=["completed", "compensated"])
    def test_after_its_end_it_waits_for_a_person(self, end):
        told = self.rerun().given(end)
        if told.state.status is COMPENSATING:
            told.given(undone("a"))
        before = told.state.status
        told.when(self.LATE).expect(e.NewsIgnored, e.EffectAfterEnd).ends(before)
        told.when(self.LATE).expect(e.NewsIgnored)
        told.when(asks(e.Verb.RESOLVE)).expect(e.OperatorActed, e.LetterDismissed).letters().ends(before)

    def test_an_effect_whose_result_is_lost_is_one_too(self):
        told = self.rerun()
        told.when(e.AttemptFailed(slot=Slot("b"), attempt=1, failure=Failure(type="X"), took_effect=True))
        told.letters(("b", Reason.LATE_EFFECT))

    def test_a_failure_is_none(self):
        told = self.rerun()
        told.when(e.AttemptFailed(slot=Slot("b"), attempt=1, failure=FATAL)).expect(e.NewsIgnored).letters()

    def test_a_doubled_report_of_what_was_undone_is_none(self):
        told = self.rerun().when(e.AttemptSucceeded(slot=Slot("a"), attempt=1, result=1)).expect(e.NewsIgnored)
        told.letters()

    def test_a_completed_saga_with_such_a_letter_is_not_undone(self):
        told = self.rerun().given(done("b"), self.LATE)
        with pytest.raises(NotAllowed, match="something of it waits for a person first"):
            told.when(COMPENSATE)
