"""The rules that the machine decides, told as stories. Their numbers are those of the design page."""

import pytest

from saga_celery.core import events as e
from saga_celery.core.commands import Render, Rest, Send, Settle, Watch
from saga_celery.core.machine import decide
from saga_celery.core.retry import FREE_RESTS, Retry
from saga_celery.core.states import (
    Direction,
    Failure,
    Message,
    Policy,
    Reason,
    SagaStatus,
    Slot,
    StepStatus,
    TurnKind,
)
from tests.core.stories import (
    ACTION,
    COMPENSATION,
    MISHAP,
    ONCE,
    PROBE,
    TWICE,
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
RUNNING, COMPENSATING, FAILED = SagaStatus.RUNNING, SagaStatus.COMPENSATING, SagaStatus.FAILED
COMPLETED, COMPENSATED = SagaStatus.COMPLETED, SagaStatus.COMPENSATED

FATALLY = Policy(retry=Retry(attempts=3), resend=True, fatal=("shop.Refused",))
PROBED = Policy(retry=Retry(attempts=2), probe=True, settle_delay=5.0)
BLIND = Policy(retry=Retry(attempts=1), null_safe=True)
NEVER, FOUND, UNKNOWN = e.Verdict.NEVER, e.Verdict.FOUND, e.Verdict.UNKNOWN


# ----------------------------------------------------------------------------------------------------- forward and back


class TestForward:
    def test_a_linear_saga_runs_step_by_step(self):
        told = (
            story(linear("a", "b")).given().expect(e.SagaStarted, e.StepScheduled, e.ActivityRendered, e.StepDispatched)
        )
        told.asks(Send(slot=Slot("a"), attempt=1))
        told.when(done("a", 1)).expect(
            e.StepSucceeded, e.ActivityRendered, e.StepScheduled, e.ActivityRendered, e.StepDispatched
        )
        told.when(done("b", 2)).expect(e.StepSucceeded, e.ActivityRendered, e.SagaCompleted(result="the result"))
        told.ends(COMPLETED, a=S.SUCCEEDED, b=S.SUCCEEDED)
        assert told.state.result == "the result"

    def test_side_by_side_all_are_sent_at_once_and_all_are_awaited(self):
        told = (
            story(plan(("a", "b"), ("c",)))
            .given()
            .asks(Send(slot=Slot("a"), attempt=1), Send(slot=Slot("b"), attempt=1))
        )
        told.given(done("b"))
        assert told.state.step("c") is None
        told.when(done("a")).ends(RUNNING, c=S.DISPATCHED)

    def test_skip_passes_over(self):
        told = (
            story(linear("a", "b"))
            .where("a")
            .given()
            .expect(
                e.SagaStarted,
                e.StepScheduled,
                e.StepSkipped,
                e.StepScheduled,
                e.ActivityRendered,
                e.StepDispatched,
            )
        )
        told.when(done("b")).ends(COMPLETED, a=S.SKIPPED)

    def test_a_second_nudge_changes_nothing(self):
        story(linear("a")).given().when(e.Nudged()).nothing().ends(RUNNING, a=S.DISPATCHED)

    def test_a_failure_is_retried_after_a_rest(self):
        told = story(linear("a")).given().when(fails("a", MISHAP)).expect(e.AttemptEnded, e.RetryScheduled)
        told.asks(Rest(slot=Slot("a"), attempt=1, tries=1, retry=TWICE.retry))
        told.when(rested("a")).expect(e.StepDispatched(slot=Slot("a"), attempt=2)).ends(RUNNING, a=S.DISPATCHED)

    def test_the_task_may_ask_for_its_own_rest(self):
        told = story(linear("a")).given().when(fails("a", MISHAP, retry_after=60.0))
        told.asks(Rest(slot=Slot("a"), attempt=1, tries=1, retry=TWICE.retry, seconds=60.0))

    @pytest.mark.parametrize("types", [(), ("shop.Refused", "Exception")])
    def test_a_fatal_failure_is_not_retried(self, types):
        failure = Failure(type="shop.Refused" if not types else "shop.RefusedToday", types=types)
        story(linear("a"), a=FATALLY).given().when(fails("a", failure)).ends(COMPENSATED, a=S.FAILED)

    def test_suspended_nothing_is_sent_until_it_goes_on(self):
        told = story(linear("a", "b")).given(asks(e.Verb.SUSPEND)).when(done("a"))
        told.expect(e.StepSucceeded, e.ActivityRendered).when(e.Nudged()).nothing()
        told.when(asks(e.Verb.RESUME)).ends(RUNNING, b=S.DISPATCHED)

    def test_suspended_a_rest_waits(self):
        told = story(linear("a")).given(fails("a", MISHAP), asks(e.Verb.SUSPEND)).when(rested("a")).nothing()
        told.given(asks(e.Verb.RESUME)).when(rested("a")).expect(e.StepDispatched)


def busy(step, seconds=30.0, **more):
    """The other side asks for time."""
    return fails(step, MISHAP, retry_after=seconds, counts=False, **more)


class TestRestsThatUseUpNoAttempt:
    def test_the_attempt_is_given_back_and_the_rest_is_the_tasks(self):
        told = story(linear("a"), a=ONCE).given().when(busy("a"))
        ended = e.AttemptEnded(slot=Slot("a"), attempt=1, failure=MISHAP, counted=False)
        told.expect(ended, e.RetryScheduled)
        told.asks(Rest(slot=Slot("a"), attempt=1, tries=0, retry=ONCE.retry, seconds=30.0))
        assert told.step("a").action.tries == 0
        told.when(rested("a")).asks(Send(slot=Slot("a"), attempt=2)).ends(RUNNING, a=S.DISPATCHED)
        assert told.step("a").action.tries == 1

    def test_a_real_failure_counts_as_ever(self):
        told = story(linear("a"), a=TWICE).given(busy("a"), rested("a"), fails("a", MISHAP))
        told.ends(RUNNING, a=S.BACKING_OFF)
        told.given(rested("a"), busy("a"), rested("a")).when(fails("a", MISHAP)).ends(COMPENSATED, a=S.FAILED)
        assert told.step("a").action.attempt == 4

    def test_it_goes_on_for_a_while_but_not_for_ever(self):
        told = story(linear("a"), a=ONCE).given()
        for _ in range(FREE_RESTS):
            told.given(busy("a"), rested("a"))
        told.ends(RUNNING, a=S.DISPATCHED)
        told.when(busy("a")).ends(COMPENSATED, a=S.FAILED)
        assert told.step("a").action.attempt == FREE_RESTS + 1

    def test_without_a_rest_it_counts(self):
        told = story(linear("a"), a=ONCE).given().when(fails("a", MISHAP, counts=False))
        told.ends(COMPENSATED, a=S.FAILED)

    def test_what_is_fatal_stays_fatal(self):
        told = story(linear("a"), a=FATALLY).given()
        told.when(fails("a", Failure(type="shop.Refused"), retry_after=30.0, counts=False))
        told.ends(COMPENSATED, a=S.FAILED)

    def test_an_effect_is_no_rest(self):
        told = story(linear("a"), a=TWICE).given()
        told.when(fails("a", MISHAP, retry_after=30.0, counts=False, took_effect=True))
        told.expect(e.AttemptEnded(slot=Slot("a"), attempt=1, failure=MISHAP), e.StepInDoubt, e.SagaParked)

    def test_a_cancelled_saga_rests_no_more(self):
        told = story(linear("a", "b")).given(done("a"), asks(e.Verb.CANCEL)).when(busy("b"))
        told.ends(COMPENSATING, b=S.FAILED)

    def test_the_deadline_ends_the_rest(self):
        told = story(linear("a", "b")).given(done("a"), busy("b")).when(e.DeadlinePassed())
        told.ends(COMPENSATING, b=S.FAILED)

    def test_compensations_rest_as_well(self):
        once = Policy(retry=Retry(attempts=1))
        told = story(linear("a", "b"), a_compensation=once, b=ONCE).given(done("a"), fails("b"))
        told.when(busy("a", direction=COMPENSATION)).ends(COMPENSATING, a=S.COMPENSATION_BACKING_OFF)
        told.when(rested("a", direction=COMPENSATION)).ends(COMPENSATING, a=S.COMPENSATING)
        told.when(undone("a")).ends(COMPENSATED, a=S.COMPENSATED)

    def test_and_so_do_probes(self):
        told = story(linear("a"), a=PROBED, a_probe=ONCE).given(lost("a"), rested("a", direction=PROBE))
        told.when(busy("a", direction=PROBE))
        told.asks(Rest(slot=Slot("a", 0, PROBE), attempt=1, tries=0, retry=ONCE.retry, seconds=30.0))
        told.when(rested("a", direction=PROBE)).asks(Send(slot=Slot("a", 0, PROBE), attempt=2))

    def test_a_late_request_changes_nothing(self):
        told = story(linear("a")).given(lost("a"), rested("a")).when(busy("a", attempt=1))
        told.expect(e.NewsIgnored)
        assert told.step("a").action.tries == 2


class TestRule1UnknownOutcome:
    """Probe, else resend, else compensate without a result, else park in doubt."""

    @pytest.mark.parametrize(
        ("end", "why"),
        [
            (fails("a", MISHAP, direction=PROBE), "builtins.OSError: unplugged"),
            (lost("a", direction=PROBE), "saga_celery.OutcomeUnknown: "),
            (answers("a", e.Verdict.UNKNOWN), "saga_celery.Unknown: the probe could not tell"),
        ],
    )
    def test_a_probe_without_an_answer_leaves_its_last_error_in_the_letter(self, end, why):
        told = story(linear("a"), a=PROBED, a_probe=ONCE).given(lost("a"), rested("a", direction=PROBE), end)
        assert told.state.letters[0].detail.startswith(f"the probe found no answer: {why}")

    def test_probed_first_and_not_before_the_settle_delay(self):
        told = story(linear("a"), a=PROBED).given().when(lost("a"))
        told.expect(e.AttemptEnded, e.ProbeScheduled, e.ActivityRendered).ends(RUNNING, a=S.PROBING)
        told.asks(Rest(slot=Slot("a", 0, PROBE), attempt=0, seconds=5.0), Settle(slot=Slot("a")))

    def test_else_resent_and_an_attempt_used_up(self):
        told = story(linear("a"), a=TWICE).given().when(lost("a")).expect(e.AttemptEnded, e.RetryScheduled)
        told.given(rested("a")).when(lost("a")).ends(FAILED, a=S.IN_DOUBT).letters(("a", Reason.IN_DOUBT))

    def test_else_compensated_without_a_result(self):
        told = story(linear("a"), a=BLIND).given().when(lost("a"))
        told.ends(COMPENSATING, a=S.COMPENSATING)
        told.when(undone("a")).ends(COMPENSATED, a=S.COMPENSATED)

    def test_else_parked_in_doubt(self):
        story(linear("a"), a=ONCE).given().when(lost("a")).expect(e.AttemptEnded, e.StepInDoubt, e.SagaParked).ends(
            FAILED, a=S.IN_DOUBT
        )

    def test_lost_then_failed_is_still_unknown(self):
        told = story(linear("a"), a=TWICE).given(lost("a"), rested("a")).when(fails("a", MISHAP))
        told.ends(FAILED, a=S.IN_DOUBT)

    def test_lost_then_refused_fatally_is_an_answer(self):
        told = story(linear("a"), a=FATALLY).given(lost("a"), rested("a")).when(fails("a"))
        told.ends(COMPENSATED, a=S.FAILED)

    def test_what_was_lost_is_asked_again_although_the_saga_turns_round(self):
        told = story(plan(("a", "b")), a=Policy(retry=Retry(attempts=3), resend=True), b=ONCE)
        told.given(lost("a")).when(fails("b")).ends(RUNNING, a=S.BACKING_OFF, b=S.FAILED)
        told.when(rested("a")).ends(RUNNING, a=S.DISPATCHED)
        told.when(fails("a", MISHAP)).ends(RUNNING, a=S.BACKING_OFF)
        told.given(rested("a")).when(done("a")).ends(COMPENSATING, a=S.COMPENSATING)

    def test_a_null_safe_step_that_failed_is_undone_all_the_same(self):
        story(linear("a"), a=BLIND).given().when(fails("a", MISHAP)).ends(COMPENSATING, a=S.COMPENSATING)

    def test_an_effect_without_a_storable_result_parks(self):
        told = story(linear("a"), a=ONCE).given().when(fails("a", took_effect=True))
        told.ends(FAILED, a=S.IN_DOUBT)

    @pytest.mark.parametrize("policy", [BLIND, Policy(needs_result=False)], ids=["null safe", "needs no result"])
    def test_unless_the_compensation_can_do_without(self, policy):
        told = story(linear("a"), a=policy).given().when(fails("a", took_effect=True))
        told.ends(COMPENSATING, a=S.COMPENSATING)

    def test_or_there_is_nothing_to_undo(self):
        told = story(linear("a", keeps=("a",)), a=ONCE).given().when(fails("a", took_effect=True))
        told.ends(COMPENSATED, a=S.GIVEN_UP)

    def test_a_pivot_without_a_storable_result_parks(self):
        story(linear("p", pivot="p")).given().when(fails("p", took_effect=True)).ends(FAILED, p=S.IN_DOUBT)

    def test_a_lost_compensation_is_repeated_when_that_is_safe(self):
        told = story(linear("a", "b"), b=ONCE).given(done("a"), fails("b"))
        told.when(lost("a", direction=COMPENSATION)).expect(e.AttemptEnded, e.CompensationRetryScheduled)
        told.given(rested("a", COMPENSATION)).when(lost("a", direction=COMPENSATION))
        told.ends(FAILED, a=S.COMPENSATION_EXHAUSTED).letters(("a", Reason.COMPENSATION_EXHAUSTED))

    def test_and_parks_in_doubt_when_it_is_not(self):
        told = story(linear("a", "b"), b=ONCE, a_compensation=ONCE).given(done("a"), fails("b"))
        told.when(lost("a", direction=COMPENSATION)).ends(FAILED, a=S.COMPENSATION_IN_DOUBT)
        told.letters(("a", Reason.IN_DOUBT))

    def test_a_compensation_whose_return_value_can_not_be_stored_has_undone_its_step(self):
        told = story(linear("a", "b"), b=ONCE).given(done("a"), fails("b"))
        told.when(fails("a", direction=COMPENSATION, took_effect=True)).ends(COMPENSATED, a=S.COMPENSATED)


def run_twice(graph=None):
    """A step that is not safe to run twice: nobody found the effect of its first attempt, and the second is out."""
    once_more = Policy(retry=Retry(attempts=2), probe=True)
    told = story(graph or linear("a", "b"), a=once_more, b=ONCE)
    told.given(lost("a"), *[answers("a", e.Verdict.NEVER)] * 2, rested("a"))
    return told.ends(RUNNING, a=S.DISPATCHED)


class TestTheEffectOfAnotherAttempt:
    """The saga knows how to undo one effect; of any further one a person is told."""

    FIRST = e.AttemptSucceeded(slot=Slot("a"), attempt=1, result="first")
    SECOND = e.AttemptSucceeded(slot=Slot("a"), attempt=2, result="second")

    @pytest.mark.parametrize("order", [(SECOND, FIRST), (FIRST, SECOND)], ids=["late", "early"])
    def test_parks_the_saga_where_it_is(self, order):
        told = run_twice().given(order[0]).when(order[1]).expect(e.EffectRepeated, e.SagaParked)
        told.letters(("a", Reason.LATE_EFFECT)).ends(FAILED, a=S.SUCCEEDED)
        told.given(done("b")).ends(FAILED).when(asks(e.Verb.RESOLVE)).ends(COMPLETED)

    def test_after_the_end_it_is_a_letter_too(self):
        told = run_twice().given(self.SECOND, done("b")).ends(COMPLETED).when(self.FIRST)
        told.expect(e.EffectRepeated, e.EffectAfterEnd).letters(("a", Reason.LATE_EFFECT))
        assert told.state.letters[0].result == "first"

    def test_also_of_a_saga_that_was_undone(self):
        told = run_twice().given(self.SECOND, fails("b")).ends(COMPENSATING).when(self.FIRST).ends(FAILED)
        told.given(undone("a")).ends(FAILED, a=S.COMPENSATED).when(asks(e.Verb.RESOLVE)).ends(COMPENSATED)

    def test_is_told_once_and_for_all(self):
        told = run_twice().given(self.SECOND, done("b"), self.FIRST).when(self.FIRST).nothing()
        told.given(asks(e.Verb.RESOLVE)).letters().when(self.FIRST).nothing()

    def test_two_that_nobody_knew_of_are_two(self):
        told = run_twice().given(asks(e.Verb.CANCEL), fails("a")).ends(COMPENSATED).given(self.FIRST)
        told.given(self.SECOND, self.SECOND).letters(*[("a", Reason.LATE_EFFECT)] * 2)
        assert [letter.attempt for letter in told.state.letters] == [1, 2]

    def test_of_a_step_that_is_safe_to_run_twice_is_the_same_effect(self):
        told = story(linear("a", "b")).given(lost("a"), rested("a"), done("a", attempt=2)).when(self.FIRST).nothing()
        told.ends(RUNNING, b=S.DISPATCHED)

    def test_may_be_the_one_that_the_probe_found(self):
        told = run_twice().given(lost("a"), answers("a", e.Verdict.FOUND, "found")).when(self.FIRST).nothing()
        told.ends(RUNNING, b=S.DISPATCHED)


class TestRule2LateNews:
    def test_a_late_failure_is_recorded_and_changes_nothing_else(self):
        told = story(linear("a")).given(lost("a"), rested("a")).when(fails("a", attempt=1)).expect(e.NewsIgnored)
        told.ends(RUNNING, a=S.DISPATCHED)

    def test_a_late_success_settles_an_open_step(self):
        told = story(linear("a")).given(lost("a"), rested("a")).when(done("a", 1, attempt=1))
        told.ends(COMPLETED, a=S.SUCCEEDED).asks(Settle(slot=Slot("a")))
        assert told.facts[0] == e.StepSucceeded(slot=Slot("a"), attempt=1, result=1, late=True)

    @pytest.mark.parametrize("then", [[], [rested("a")]], ids=["resting", "out again"])
    def test_wherever_it_is_open(self, then):
        story(linear("a")).given(lost("a"), *then).when(done("a", attempt=1)).ends(COMPLETED)

    def test_a_late_success_takes_a_step_in_doubt_out_of_the_dead_letters(self):
        told = story(linear("a", "b"), a=ONCE).given(lost("a")).when(done("a")).letters()
        told.ends(RUNNING, a=S.SUCCEEDED, b=S.DISPATCHED)

    def test_a_late_success_of_a_step_being_compensated_blindly_is_compensated_with_its_result(self):
        told = story(linear("a"), a=BLIND).given(lost("a")).when(done("a", 7))
        told.expect(e.StepSucceeded, e.CompensationScheduled, e.ActivityRendered, e.CompensationDispatched).ends(
            COMPENSATING, a=S.COMPENSATING
        )
        again = Slot("a", 0, COMPENSATION, generation=2)
        told.asks(Send(slot=again, attempt=1))
        assert told.step("a").activity(COMPENSATION).message == Message(task="a.compensation", kwargs={"result": 7})
        first = Slot("a", 0, COMPENSATION)
        told.when(e.AttemptSucceeded(slot=first, attempt=1)).expect(e.NewsIgnored)
        told.when(undone("a")).ends(COMPENSATED, a=S.COMPENSATED)

    def test_also_while_that_compensation_rests(self):
        told = story(linear("a"), a=BLIND).given(lost("a"), fails("a", MISHAP, direction=COMPENSATION))
        told.when(done("a", 7)).ends(COMPENSATING, a=S.COMPENSATING)

    def test_also_when_it_is_parked(self):
        told = story(linear("a"), a=BLIND, a_compensation=ONCE).given(lost("a"), lost("a", direction=COMPENSATION))
        told.when(done("a", 7)).letters().ends(COMPENSATING, a=S.COMPENSATING)

    def test_also_when_it_is_done_and_others_are_not(self):
        told = story(linear("a", "b"), b=BLIND).given(done("a"), lost("b"), undone("b"))
        told.when(done("b", 7)).ends(COMPENSATING, a=S.COMPENSATING, b=S.COMPENSATING)
        told.given(undone("a")).when(undone("b")).ends(COMPENSATED)

    def test_a_late_success_of_a_failed_step_is_compensated(self):
        told = story(linear("a", "b"), b=FATALLY).given(done("a"), lost("b"), rested("b"), fails("b"))
        told.when(done("b", attempt=1)).ends(COMPENSATING, b=S.COMPENSATING)

    def test_a_late_success_without_compensation_is_kept(self):
        told = story(linear("a", "b", keeps=("b",)), b=FATALLY).given(done("a"), lost("b"), rested("b"), fails("b"))
        told.when(done("b", attempt=1)).ends(COMPENSATING, b=S.SUCCEEDED)

    def test_a_late_success_after_the_end_is_a_dead_letter_once(self):
        told = story(linear("a"), a=BLIND).given(lost("a"), undone("a")).when(done("a", 7)).expect(e.EffectAfterEnd)
        told.letters(("a", Reason.LATE_EFFECT)).when(done("a", 7)).nothing().ends(COMPENSATED)
        assert told.state.letters[0].result == 7

    def test_a_late_success_of_a_skipped_step_in_a_completed_saga_is_noted(self):
        told = story(linear("p", "a", pivot="p"), a=ONCE).given(done("p"), lost("a"), asks(e.Verb.SKIP))
        told.ends(COMPLETED, a=S.SKIPPED).when(done("a")).expect(e.NewsIgnored).ends(COMPLETED)

    def test_a_doubled_success_is_nothing_new(self):
        story(linear("a", "b")).given(done("a")).when(done("a")).nothing()

    @pytest.mark.parametrize(
        "then",
        [[], [fails("a", MISHAP, direction=COMPENSATION)], [undone("a")]],
        ids=["being undone", "after the compensation failed", "undone"],
    )
    def test_a_doubled_success_is_not_undone_twice(self, then):
        told = story(linear("a", "b"), b=ONCE).given(done("a"), fails("b"), *then)
        told.when(done("a")).nothing()
        assert told.undone() == ["a"]

    def test_nor_the_doubled_report_of_a_late_success(self):
        story(linear("a"), a=BLIND).given(lost("a"), done("a", 7)).when(done("a", 7)).nothing()

    def test_an_effect_behind_a_late_failure_is_a_dead_letter(self):
        told = story(linear("a"), a=FATALLY).given(lost("a"), rested("a"), fails("a")).ends(COMPENSATED)
        told.when(fails("a", attempt=1, took_effect=True)).expect(e.NewsIgnored, e.EffectAfterEnd)
        told.letters(("a", Reason.LATE_EFFECT))
        told.when(fails("a", attempt=1, took_effect=True)).expect(e.NewsIgnored)

    @pytest.mark.parametrize("ended", [False, True])
    def test_also_when_a_blind_compensation_ran_before_it(self, ended):
        told = story(linear("a", "b"), b=BLIND).given(done("a"), lost("b"), undone("b"))
        told.given(*([undone("a")] if ended else [])).when(fails("b", took_effect=True))
        told.letters(("b", Reason.LATE_EFFECT)).ends(COMPENSATED if ended else FAILED)

    def test_but_not_when_that_compensation_is_still_to_come(self):
        told = story(plan(("a", "b")), a=BLIND, b=ONCE).given(lost("a")).ends(RUNNING, a=S.GIVEN_UP)
        told.when(fails("a", took_effect=True)).expect(e.NewsIgnored).letters()

    def test_nor_when_the_effect_is_what_the_step_was_given_up_for(self):
        told = story(linear("a"), a=BLIND).given(fails("a", took_effect=True)).ends(COMPENSATING, a=S.COMPENSATING)
        told.when(fails("a", took_effect=True)).expect(e.NewsIgnored).letters()

    def test_nor_in_a_completed_saga(self):
        graph = plan(("p", "a"), pivot="p")
        told = story(graph, a=ONCE).given(done("p"), lost("a"), asks(e.Verb.SKIP)).ends(COMPLETED, a=S.SKIPPED)
        told.when(fails("a", took_effect=True)).expect(e.NewsIgnored).ends(COMPLETED)

    def test_or_the_step_is_still_open_and_will_tell(self):
        told = story(linear("a")).given(lost("a"), rested("a")).when(fails("a", attempt=1, took_effect=True))
        told.expect(e.NewsIgnored).letters().ends(RUNNING, a=S.DISPATCHED)

    def test_unless_there_is_nothing_to_undo(self):
        told = story(plan(("a", "b"), keeps=("a",))).given(fails("a", took_effect=True))
        told.when(fails("a", took_effect=True)).expect(e.NewsIgnored).letters()

    def test_and_stops_a_saga_that_is_still_being_undone(self):
        told = story(linear("a", "b"), b=FATALLY).given(done("a"), lost("b"), rested("b"), fails("b"))
        told.when(fails("b", attempt=1, took_effect=True)).expect(e.NewsIgnored, e.SagaParked).ends(FAILED)
        told.when(fails("b", attempt=1, took_effect=True)).expect(e.NewsIgnored).letters(("b", Reason.LATE_EFFECT))
        told.when(asks(e.Verb.RESOLVE)).ends(COMPENSATING).when(undone("a")).ends(COMPENSATED)

    @pytest.mark.parametrize("news", [done, fails])
    def test_news_of_a_step_that_never_began_are_dropped(self, news):
        told = story(linear("a", "b")).given()
        failure = {"failure": MISHAP} if news is fails else {}
        kind = e.AttemptFailed if news is fails else e.AttemptSucceeded
        told.when(kind(slot=Slot("b"), attempt=1, **failure)).nothing()

    def test_an_older_generation_is_only_noted(self):
        told = story(linear("p", "a", pivot="p"), a=FATALLY).given(done("p"), fails("a"), asks(e.Verb.RETRY))
        assert told.step("a").action.generation == 2
        told.when(e.AttemptSucceeded(slot=Slot("a"), attempt=1)).expect(e.NewsIgnored)


class TestRule3Probe:
    def asked(self, **policies: Policy):
        told = story(linear("a"), **{"a": PROBED, **policies}).given(lost("a"))
        return told.when(rested("a", PROBE)).expect(e.ProbeDispatched).asks(Send(slot=Slot("a", 0, PROBE), attempt=1))

    def test_what_is_found_is_adopted(self):
        told = self.asked().when(answers("a", FOUND, 7)).ends(COMPLETED, a=S.SUCCEEDED)
        assert told.step("a").result == 7
        assert told.facts[0].by == "probe"

    def test_never_is_asked_twice_and_then_repeated(self):
        told = self.asked().when(answers("a", NEVER)).expect(e.AttemptEnded)
        told.asks(Rest(slot=Slot("a", 0, PROBE), attempt=1, seconds=5.0))
        told.given(rested("a", PROBE)).when(answers("a", NEVER)).expect(e.EffectRuledOut, e.RetryScheduled)
        assert not told.step("a").action.lost
        told.given(rested("a")).when(fails("a", MISHAP)).ends(COMPENSATED, a=S.FAILED)

    def test_never_without_attempts_left_turns_round(self):
        told = self.asked(a=Policy(retry=Retry(attempts=1), probe=True))
        told.given(answers("a", NEVER), rested("a", PROBE)).when(answers("a", NEVER)).ends(COMPENSATED, a=S.FAILED)

    def test_never_behind_the_pivot_without_attempts_left_parks(self):
        told = story(linear("p", "a", pivot="p"), a=Policy(retry=Retry(attempts=1), probe=True))
        told.given(done("p"), lost("a"), rested("a", PROBE), answers("a", NEVER), rested("a", PROBE))
        told.when(answers("a", NEVER)).ends(FAILED, a=S.EXHAUSTED)

    def test_never_while_turning_round_is_not_repeated(self):
        told = story(plan(("a", "b")), a=PROBED, b=ONCE).given(lost("a"), rested("a", PROBE), answers("a", NEVER))
        told.given(rested("a", PROBE), fails("b")).when(answers("a", NEVER)).ends(COMPENSATED, a=S.FAILED)

    def test_a_second_lost_attempt_is_asked_for_afresh(self):
        told = self.asked().given(answers("a", NEVER), rested("a", PROBE), answers("a", NEVER), rested("a"))
        told.when(lost("a")).expect(e.AttemptEnded, e.ProbeScheduled).asks(Rest)
        told.given(rested("a", PROBE)).when(answers("a", NEVER)).expect(e.AttemptEnded).ends(RUNNING, a=S.PROBING)

    @pytest.mark.parametrize(
        "news",
        [answers("a", UNKNOWN), fails("a", MISHAP, direction=PROBE), lost("a", direction=PROBE)],
        ids=["unknown", "failed", "lost"],
    )
    def test_no_answer_is_asked_again_and_then_parks(self, news):
        told = self.asked().when(news).expect(e.AttemptEnded).asks(Rest).ends(RUNNING, a=S.PROBING)
        told.given(rested("a", PROBE)).when(news).ends(FAILED, a=S.IN_DOUBT).letters(("a", Reason.IN_DOUBT))

    def test_an_answer_out_of_turn_is_dropped(self):
        told = self.asked().given(lost("a", direction=PROBE), rested("a", PROBE))
        told.when(answers("a", NEVER, attempt=1)).nothing()
        told.given(done("a")).when(answers("a", FOUND, 7)).nothing()

    def test_the_action_itself_may_answer_first(self):
        self.asked().when(done("a", 1)).ends(COMPLETED).asks(Settle(slot=Slot("a", 0, PROBE)))

    def test_a_probe_that_renders_to_skip_can_not_be_asked(self):
        story(linear("a"), a=PROBED).where("a", PROBE).given().when(lost("a")).ends(FAILED, a=S.IN_DOUBT)

    def test_a_success_as_the_answer_of_a_probe_is_a_mistake_of_the_sender_and_noted(self):
        self.asked().when(done("a", direction=PROBE)).expect(e.NewsIgnored)

    def test_a_probe_rendered_twice_is_kept_as_it_was(self):
        told = self.asked()
        again = e.Rendered(slot=Slot("a", 0, PROBE), message=Message(task="other"), policy=ONCE)
        told.when(again).nothing()


class TestRule4Compensation:
    def test_runs_in_reverse_order_each_awaited(self):
        told = story(linear("a", "b", "c"), c=ONCE).given(done("a"), done("b")).when(fails("c"))
        assert told.undone() == ["b"]
        told.when(undone("b")).when(undone("a")).ends(COMPENSATED, a=S.COMPENSATED, b=S.COMPENSATED, c=S.FAILED)
        assert told.undone() == ["b", "a"]

    def test_what_ran_side_by_side_is_undone_side_by_side(self):
        told = story(plan(("a",), ("b", "c"), ("d",)), d=ONCE).given(done("a"), done("b"), done("c")).when(fails("d"))
        assert sorted(told.undone()) == ["b", "c"]
        told.given(undone("c"))
        assert sorted(told.undone()) == ["b", "c"]
        told.when(undone("b")).ends(COMPENSATING, a=S.COMPENSATING)

    def test_rendered_with_the_success_and_with_its_result(self):
        told = story(linear("a", "b")).given().when(done("a", 7))
        assert told.step("a").activity(COMPENSATION).message == Message(task="a.compensation", kwargs={"result": 7})

    def test_one_that_renders_to_skip_is_passed_over(self):
        told = story(linear("a", "b", "c"), c=ONCE).where("b", COMPENSATION).given(done("a"), done("b"))
        told.when(fails("c")).ends(COMPENSATING, a=S.COMPENSATING, b=S.COMPENSATION_SKIPPED)
        assert told.undone() == ["a"]

    def test_also_without_a_result(self):
        told = story(linear("a"), a=BLIND).where("a", COMPENSATION).given().when(lost("a"))
        told.ends(COMPENSATED, a=S.COMPENSATION_SKIPPED)

    def test_a_skipped_step_has_none(self):
        story(linear("a", "b"), b=ONCE).where("a").given().when(fails("b")).ends(COMPENSATED, a=S.SKIPPED)

    def test_a_step_without_compensation_is_left_as_it_is(self):
        told = story(linear("a", "b", "c", keeps=("b",)), c=ONCE).given(done("a"), done("b")).when(fails("c"))
        assert told.undone() == ["a"]

    def test_a_failed_compensation_is_retried_then_parks_and_the_earlier_ones_wait(self):
        told = story(linear("a", "b", "c"), c=ONCE).given(done("a"), done("b"), fails("c"))
        told.when(fails("b", MISHAP, direction=COMPENSATION)).expect(e.AttemptEnded, e.CompensationRetryScheduled)
        told.given(rested("b", COMPENSATION)).when(fails("b", MISHAP, direction=COMPENSATION))
        told.ends(FAILED, b=S.COMPENSATION_EXHAUSTED).letters(("b", Reason.COMPENSATION_EXHAUSTED))
        assert told.undone() == ["b", "b"]

    def test_a_fatal_failure_of_a_compensation_parks_at_once(self):
        told = story(linear("a", "b"), b=ONCE, a_compensation=FATALLY).given(done("a"), fails("b"))
        told.when(fails("a", direction=COMPENSATION)).ends(FAILED, a=S.COMPENSATION_EXHAUSTED)

    def test_a_parked_compensation_that_succeeds_late_lets_the_saga_go_on(self):
        told = story(linear("a", "b"), b=ONCE, a_compensation=ONCE).given(done("a"), fails("b"))
        told.given(lost("a", direction=COMPENSATION)).when(undone("a")).letters().ends(COMPENSATED)

    def test_a_doubled_report_is_nothing_new(self):
        story(linear("a", "b"), b=ONCE).given(done("a"), fails("b"), undone("a")).when(undone("a")).nothing()

    def test_if_rendering_fails_the_success_stands_and_the_saga_goes_no_further(self):
        told = story(linear("a", "b")).where("a", COMPENSATION, MISHAP).given().when(done("a", 7))
        told.expect(e.StepSucceeded, e.SagaParked).ends(FAILED, a=S.SUCCEEDED).letters(("a", Reason.RENDER_FAILED))
        assert told.state.step("b") is None
        told.where("a", COMPENSATION, ...).when(asks(e.Verb.RETRY)).ends(RUNNING, b=S.DISPATCHED)

    def test_no_sibling_starts_while_a_compensation_is_owed(self):
        told = story(plan(("a", "b"), ("c",))).where("a", COMPENSATION, MISHAP).given(done("a"))
        told.when(done("b")).ends(FAILED, b=S.SUCCEEDED)
        assert told.state.step("c") is None

    def test_the_rest_of_an_action_never_moves_its_compensation(self):
        told = story(linear("a", "b"), b=ONCE).given(done("a"), fails("b"), fails("a", MISHAP, direction=COMPENSATION))
        told.when(rested("a")).nothing().when(rested("a", PROBE)).nothing()
        told.when(rested("a", COMPENSATION)).expect(e.CompensationDispatched)


class TestRule5Rendering:
    def test_a_failure_parks_with_the_traceback(self):
        broken = Failure(type="builtins.KeyError", message="'sku'", traceback="File shop.py, line 7")
        told = story(linear("a")).where("a", answer=broken).given().ends(FAILED, a=S.SCHEDULED)
        assert told.state.letters[0].detail == "builtins.KeyError: 'sku'\nFile shop.py, line 7"

    def test_an_action_that_could_not_be_rendered_is_rendered_at_retry(self):
        told = story(linear("a")).where("a", answer=MISHAP).given().where("a", answer=...)
        told.when(asks(e.Verb.RETRY)).letters().ends(RUNNING, a=S.DISPATCHED)

    def test_or_skipped(self):
        told = story(linear("a", "b")).where("a", answer=MISHAP).given().when(asks(e.Verb.SKIP, result=3))
        told.ends(RUNNING, a=S.SKIPPED, b=S.DISPATCHED)
        assert told.step("a").result == 3

    def test_or_the_saga_is_cancelled(self):
        told = story(linear("a", "b")).where("b", answer=MISHAP).given(done("a")).when(asks(e.Verb.CANCEL))
        told.letters().ends(COMPENSATING, a=S.COMPENSATING, b=S.CANCELLED)

    def test_it_parks_again_while_it_stays_broken(self):
        told = story(linear("a")).where("a", answer=MISHAP).given().when(asks(e.Verb.RETRY))
        told.ends(FAILED).letters(("a", Reason.RENDER_FAILED))

    def test_a_compensation_without_result_that_could_not_be_rendered(self):
        told = story(linear("a"), a=BLIND).where("a", COMPENSATION, MISHAP).given().when(lost("a"))
        told.ends(FAILED, a=S.COMPENSATION_SCHEDULED)
        told.where("a", COMPENSATION, ...).when(asks(e.Verb.RETRY)).ends(COMPENSATING, a=S.COMPENSATING)

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_or_is_skipped(self, when):
        if when == "before":
            told = story(linear("a", "b")).where("a", COMPENSATION, MISHAP).given(done("a"))
            told.when(asks(e.Verb.SKIP)).ends(RUNNING, a=S.SUCCEEDED, b=S.DISPATCHED)
            assert told.step("a").activity(COMPENSATION).void
        else:
            told = story(linear("a"), a=BLIND).where("a", COMPENSATION, MISHAP).given(lost("a"))
            told.when(asks(e.Verb.SKIP)).ends(COMPENSATED, a=S.COMPENSATION_SKIPPED)

    def test_cancelled_while_a_compensation_is_owed_it_is_asked_for_once_more(self):
        told = story(linear("a", "b")).where("a", COMPENSATION, MISHAP).given(done("a")).when(asks(e.Verb.CANCEL))
        told.ends(FAILED, a=S.COMPENSATION_SCHEDULED).where("a", COMPENSATION, ...)
        told.when(asks(e.Verb.RETRY)).ends(COMPENSATING, a=S.COMPENSATING)

    def test_a_probe_that_could_not_be_rendered(self):
        told = story(linear("a"), a=PROBED).where("a", PROBE, MISHAP).given().when(lost("a")).ends(FAILED, a=S.PROBING)
        told.letters(("a", Reason.RENDER_FAILED)).where("a", PROBE, ...)
        told.when(asks(e.Verb.RETRY)).ends(RUNNING, a=S.PROBING).asks(Rest)

    def test_or_is_skipped_so_that_a_person_must_say_what_happened(self):
        told = story(linear("a"), a=PROBED).where("a", PROBE, MISHAP).given(lost("a")).when(asks(e.Verb.SKIP))
        told.ends(FAILED, a=S.IN_DOUBT).letters(("a", Reason.IN_DOUBT))

    def test_or_cancelled_which_waits_for_the_answer(self):
        told = story(linear("a"), a=PROBED).where("a", PROBE, MISHAP).given(lost("a")).when(asks(e.Verb.CANCEL))
        told.ends(FAILED, a=S.PROBING)
        assert told.state.turn.kind is TurnKind.CANCEL

    def test_or_made_needless_by_a_late_success(self):
        told = story(linear("a"), a=PROBED).where("a", PROBE, MISHAP).given(lost("a")).when(done("a"))
        told.letters().ends(COMPLETED)

    def test_a_result_that_could_not_be_made(self):
        told = story(linear("a")).where("", answer=MISHAP).given().when(done("a")).ends(FAILED)
        told.letters(("", Reason.RENDER_FAILED)).where("", answer=...)
        told.when(asks(e.Verb.RETRY)).ends(COMPLETED)

    def test_or_the_saga_is_undone(self):
        told = story(linear("a")).where("", answer=MISHAP).given(done("a")).when(asks(e.Verb.CANCEL))
        told.ends(COMPENSATING, a=S.COMPENSATING)

    @pytest.mark.parametrize(
        "answer",
        [
            e.Rendered(slot=Slot("a"), message=Message(task="late"), policy=ONCE),
            e.Rendered(slot=Slot("a", 0, COMPENSATION, 9), message=None, policy=ONCE),
            e.Rendered(slot=Slot("a", 0, COMPENSATION), message=None, policy=ONCE),
            e.Rendered(slot=Slot("z"), message=None, policy=ONCE),
            e.Rendered(slot=Slot("z", 0, COMPENSATION), message=None, policy=ONCE),
            e.Rendered(slot=Slot("z", 0, PROBE), message=None, policy=ONCE),
            e.RenderAborted(slot=Slot("a"), reason="late"),
            e.RenderAborted(slot=Slot("z"), reason="of nothing"),
        ],
    )
    def test_an_answer_that_nobody_waits_for_changes_nothing(self, answer):
        story(linear("a", "b")).given(done("a")).when(answer).nothing()

    @pytest.mark.parametrize("news", [e.RenderFailed(slot=None, failure=MISHAP), e.ResultRendered(result=1)])
    def test_nor_does_one_after_the_end(self, news):
        story(linear("a")).given(done("a")).when(news).nothing()


def test_rule_6_the_machine_sees_only_the_plan_that_it_is_given():
    told = story(linear("a", "b")).given(done("a"))
    longer = linear("a", "b", "c")
    assert decide(told.plan, told.state, e.Nudged()).facts == ()
    state = decide(told.plan, told.state, done("b")(told)).state
    assert state.step("c") is None
    assert longer.hash != told.plan.hash


class TestRule7PivotDeadlineCancelAbort:
    def test_a_pivot_that_failed_cleanly_compensates(self):
        told = story(linear("a", "p", pivot="p"), p=ONCE).given(done("a")).when(fails("p"))
        told.ends(COMPENSATING, a=S.COMPENSATING)

    def test_also_when_it_is_declared_null_safe(self):
        story(linear("a", "p", pivot="p"), p=BLIND).given(done("a")).when(fails("p", MISHAP)).ends(COMPENSATING)

    def test_an_unknown_one_is_probed_else_parked(self):
        story(linear("p", pivot="p"), p=PROBED).given().when(lost("p")).ends(RUNNING, p=S.PROBING)
        story(linear("p", pivot="p"), p=BLIND).given().when(lost("p")).ends(FAILED, p=S.IN_DOUBT)

    @pytest.mark.parametrize("news", [e.DeadlinePassed(), asks(e.Verb.CANCEL)], ids=["deadline", "cancel"])
    class TestInFlight:
        def test_remembered_while_a_step_is_in_flight(self, news):
            told = story(linear("a", "b")).given().when(news).ends(RUNNING, a=S.DISPATCHED)
            assert told.state.turn is not None
            told.when(done("a")).ends(COMPENSATING, a=S.COMPENSATING)
            assert told.state.step("b") is None

        def test_a_failure_then_needs_no_retry(self, news):
            story(linear("a")).given(news).when(fails("a", MISHAP)).ends(COMPENSATED, a=S.FAILED)

        def test_a_rest_is_not_waited_for(self, news):
            told = story(linear("a")).given(fails("a", MISHAP)).when(news).ends(COMPENSATED, a=S.FAILED)
            told.asks(Settle(slot=Slot("a")))

        def test_what_has_not_begun_is_called_off(self, news):
            told = story(plan(("a", "b"))).given()
            told.state = decide(told.plan, told.state, e.Nudged()).state
            told = story(linear("a", "b")).where("b", answer=MISHAP).given(done("a"), asks(e.Verb.CANCEL))
            told.ends(COMPENSATING, b=S.CANCELLED)

        def test_dropped_when_the_pivot_succeeds(self, news):
            told = story(linear("a", "p", "b", pivot="p")).given(done("a"), news).when(done("p"))
            told.ends(RUNNING, b=S.DISPATCHED)
            assert any(isinstance(fact, e.TurnDropped) for fact in told.facts)

        def test_dropped_at_once_whatever_else_is_in_flight(self, news):
            told = story(plan(("a", "p"), pivot="p"), a=ONCE).given(news).when(done("p"))
            assert told.state.turn is None
            told.ends(RUNNING, a=S.DISPATCHED).when(lost("a")).letters(("a", Reason.IN_DOUBT))
            told.when(asks(e.Verb.RESOLVE, resolution=e.Resolution.NEVER)).ends(RUNNING, a=S.DISPATCHED)
            assert told.state.overdue is isinstance(news, e.DeadlinePassed)

        def test_acted_upon_when_the_pivot_fails(self, news):
            told = story(linear("a", "p", pivot="p"), p=ONCE).given(done("a"), news).when(fails("p"))
            told.ends(COMPENSATING, a=S.COMPENSATING)

        def test_before_the_start_there_is_nothing_to_undo(self, news):
            told = story(linear("a")).when(news).ends(COMPENSATED)
            assert told.state.turn is not None

    def test_the_first_cause_stays(self):
        told = story(linear("a")).given(asks(e.Verb.CANCEL)).when(e.DeadlinePassed()).nothing()
        assert told.state.turn.kind is TurnKind.CANCEL

    def test_behind_the_pivot_the_deadline_only_marks_overdue_once(self):
        told = story(linear("p", "a", pivot="p")).given(done("p")).when(e.DeadlinePassed()).expect(e.SagaOverdue)
        told.when(e.DeadlinePassed()).nothing().when(done("a")).ends(COMPLETED)

    @pytest.mark.parametrize(
        "news", [[done("a")], [fails("a")], [lost("a")]], ids=["completed", "compensated", "failed"]
    )
    def test_after_the_end_the_deadline_is_nothing(self, news):
        story(linear("a"), a=ONCE).given(*news).when(e.DeadlinePassed()).nothing()

    def test_abort_turns_round(self):
        told = story(linear("a", "b")).where("b", answer="no stock").given().when(done("a"))
        told.ends(COMPENSATING, b=S.CANCELLED)
        assert (told.state.turn.kind, told.state.turn.reason, told.state.turn.step) == (TurnKind.ABORT, "no stock", "b")

    def test_abort_waits_for_what_is_in_flight(self):
        told = (
            story(plan(("a", "b"))).where("b", answer="no stock").given().ends(RUNNING, a=S.DISPATCHED, b=S.CANCELLED)
        )
        told.when(done("a")).ends(COMPENSATING, a=S.COMPENSATING)

    def test_abort_behind_the_pivot_parks(self):
        told = story(linear("p", "a", pivot="p")).where("a", answer="too late").given().when(done("p"))
        told.ends(FAILED, a=S.SCHEDULED).letters(("a", Reason.RENDER_FAILED))
        assert "aborted behind the pivot: too late" in told.state.letters[0].detail

    def test_exhaustion_behind_the_pivot_parks(self):
        told = story(linear("p", "a", pivot="p"), a=ONCE).given(done("p")).when(fails("a"))
        told.ends(FAILED, a=S.EXHAUSTED).letters(("a", Reason.EXHAUSTED))

    def test_an_unknown_outcome_behind_the_pivot_parks_although_null_safe(self):
        story(linear("p", "a", pivot="p"), a=BLIND).given(done("p")).when(lost("a")).ends(FAILED, a=S.IN_DOUBT)

    def test_a_pivot_that_took_effect_after_the_turn_is_a_dead_letter(self):
        told = story(linear("a", "p", pivot="p"), p=FATALLY).given(done("a"), lost("p"), rested("p"), fails("p"))
        told.when(done("p", 7, attempt=1)).ends(FAILED, p=S.SUCCEEDED).letters(("p", Reason.LATE_EFFECT))
        told.when(done("p", 7, attempt=1)).nothing()
        told.when(asks(e.Verb.RESOLVE)).ends(COMPENSATING).when(undone("a")).ends(COMPENSATED)

    class TestBesideThePivot:
        """A sibling turned the saga round, and then the pivot took effect: from there it only goes forward."""

        def test_what_failed_waits_for_a_person(self):
            told = story(plan(("p", "a"), ("b",), pivot="p"), a=ONCE).given(fails("a")).when(done("p"))
            told.ends(FAILED, a=S.EXHAUSTED).letters(("a", Reason.EXHAUSTED))
            told.given(asks(e.Verb.RETRY), done("a")).when(done("b")).ends(COMPLETED)

        def test_what_was_called_off_gets_its_turn(self):
            told = story(plan(("p", "a"), pivot="p")).where("a", answer="wait").given().ends(RUNNING, a=S.CANCELLED)
            told.where("a", answer=...).when(done("p")).ends(RUNNING, a=S.DISPATCHED)

        def test_what_took_effect_without_a_result_is_in_doubt_and_not_just_run_again(self):
            told = story(plan(("p", "a"), pivot="p", keeps=("a",)), a=ONCE).given(fails("a", took_effect=True))
            told.when(done("p")).ends(FAILED, a=S.IN_DOUBT).letters(("a", Reason.IN_DOUBT))

        def test_what_was_given_up_is_in_doubt(self):
            told = story(plan(("p", "a"), pivot="p"), a=BLIND).given(lost("a")).ends(RUNNING, a=S.GIVEN_UP)
            told.when(done("p")).ends(FAILED, a=S.IN_DOUBT).letters(("a", Reason.IN_DOUBT))


class TestRule8Keys:
    def test_all_attempts_share_a_slot(self):
        story(linear("a")).given(lost("a"), rested("a")).asks(Send(slot=Slot("a"), attempt=2))

    def test_what_failed_fatally_runs_again_as_a_new_generation(self):
        told = story(linear("p", "a", pivot="p"), a=FATALLY).given(done("p"), fails("a")).when(asks(e.Verb.RETRY))
        told.asks(Send(slot=Slot("a", generation=2), attempt=1)).when(done("a")).ends(COMPLETED)

    def test_what_merely_used_up_its_attempts_keeps_its_key(self):
        told = story(linear("p", "a", pivot="p"), a=ONCE).given(done("p"), fails("a", MISHAP)).when(asks(e.Verb.RETRY))
        told.asks(Send(slot=Slot("a"), attempt=2))

    def test_the_same_for_compensations(self):
        told = story(linear("a", "b"), b=ONCE, a_compensation=FATALLY).given(done("a"), fails("b"))
        told.given(fails("a", direction=COMPENSATION)).when(asks(e.Verb.RETRY))
        told.asks(Send(slot=Slot("a", 0, COMPENSATION, 2), attempt=1)).when(undone("a")).ends(COMPENSATED)


class TestRule11Claims:
    def test_the_first_copy_gets_the_attempt(self):
        told = (
            story(linear("a"))
            .given()
            .when(starts("a"))
            .expect(e.AttemptClaimed(slot=Slot("a"), attempt=1, epoch=1, worker="w1"))
        )
        told.asks(Watch(slot=Slot("a"), attempt=1, epoch=1, worker="w1"))

    @pytest.mark.parametrize("worker", ["w1", "w2"])
    def test_a_second_copy_is_dropped_while_the_first_lives(self, worker):
        story(linear("a")).given(starts("a")).when(starts("a", worker, rival_alive=True)).nothing()

    @pytest.mark.parametrize("worker", ["w1", "w2"])
    def test_it_takes_over_from_the_dead_and_uses_up_an_attempt(self, worker):
        told = story(linear("a")).given(starts("a")).when(starts("a", worker))
        told.expect(e.AttemptClaimed(slot=Slot("a"), attempt=2, epoch=2, worker=worker))
        assert told.step("a").action.tries == 2

    @pytest.mark.parametrize("worker", ["w1", "w2"])
    def test_but_not_when_the_step_must_not_run_twice(self, worker):
        story(linear("a"), a=ONCE).given(starts("a")).when(starts("a", worker)).ends(FAILED, a=S.IN_DOUBT)

    def test_nor_when_no_attempt_is_left(self):
        (story(linear("a")).given(starts("a"), starts("a", "w2")).when(starts("a", "w3")).ends(FAILED, a=S.IN_DOUBT))

    def test_a_task_that_put_itself_back_goes_on_with_its_attempt(self):
        told = story(linear("a"), a=ONCE).given(starts("a")).when(starts("a", "w2", own_retry=True))
        told.expect(e.AttemptClaimed(slot=Slot("a"), attempt=1, epoch=2, worker="w2"))

    def test_but_not_while_another_copy_of_it_runs(self):
        told = story(linear("a"), a=ONCE).given(starts("a"))
        told.when(starts("a", "w2", own_retry=True, rival_alive=True)).nothing()

    @pytest.mark.parametrize(
        "news", [starts("a", attempt=1), lost("a", attempt=1)], ids=["an old copy starts", "an old copy is lost"]
    )
    def test_an_old_attempt_changes_nothing(self, news):
        story(linear("a")).given(lost("a"), rested("a")).when(news).nothing()

    @pytest.mark.parametrize("kind", [e.AttemptStarted, e.AttemptLost, e.ProbeAnswered, e.RestOver])
    def test_nor_do_news_of_a_step_that_never_began(self, kind):
        more = {
            e.AttemptStarted: {"attempt": 1, "worker": "w1"},
            e.AttemptLost: {"attempt": 1, "reason": "?"},
            e.ProbeAnswered: {"attempt": 1, "verdict": NEVER},
            e.RestOver: {},
        }[kind]
        direction = Direction.PROBE if kind is e.ProbeAnswered else ACTION
        story(linear("a", "b")).given().when(kind(slot=Slot("b", 0, direction), **more)).nothing()


def test_a_wish_is_a_command_until_somebody_answers_it():
    told = story(linear("a"))
    decision = decide(told.plan, told.state, e.Nudged())
    assert decision.commands == (Render(slot=Slot("a")),)
    assert decision.state.status is RUNNING
