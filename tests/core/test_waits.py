"""Waits: an event, or the time; whichever comes first, and also when it comes early, twice or late."""

import pytest

from saga_celery.core import events as e
from saga_celery.core.commands import Rest, Settle
from saga_celery.core.machine import NotAllowed, decide, decide_posted
from saga_celery.core.plan import StepKind
from saga_celery.core.retry import Retry
from saga_celery.core.states import Failure, Mail, Policy, Reason, SagaStatus, Slot, StepStatus, TurnKind
from tests.core.stories import FATAL, asks, done, fails, linear, lost, plan, rested, story, undone

WAIT, SLEEP = StepKind.WAIT, StepKind.SLEEP
TWO_DAYS = Policy(wait=172_800.0, resend=True, retry=Retry(attempts=2))
PASSED_OVER = Policy(wait=60.0, skippable=True)
LINE = linear("book", "approve", "ship", approve=WAIT)
BEHIND = linear("charge", "approve", "ship", pivot="charge", keeps=("ship",), approve=WAIT)
APPROVE = Slot("approve")


def event(event_id="e1", payload="yes", wait="approve", actor="ada", **more):
    return e.EventSent(wait=wait, event_id=event_id, payload=payload, actor=actor, **more)


def waiting(plan=LINE, policy=TWO_DAYS, first="book"):
    return story(plan).where("approve", answer=policy).given(done(first))


# --------------------------------------------------------------------------------------------------------------- begin


def test_a_wait_awaits_nothing_but_the_time():
    told = waiting()
    told.asks(Rest(slot=APPROVE, attempt=0, seconds=172_800.0)).ends(SagaStatus.RUNNING, approve=StepStatus.AWAITING)
    assert told.step("approve").action.message is None


def test_a_wait_may_ask_first():
    told = story(LINE, approve=TWO_DAYS).given(done("book")).ends(SagaStatus.RUNNING, approve=StepStatus.DISPATCHED)
    told.when(done("approve", "mail sent")).expect(e.StepAwaiting).asks(
        Rest(slot=APPROVE, attempt=1, seconds=172_800.0)
    )
    told.when(event()).ends(SagaStatus.RUNNING, approve=StepStatus.SUCCEEDED)
    assert told.step("approve").result == "yes"


def test_that_the_answer_of_who_was_asked_can_not_be_stored_does_not_matter():
    told = story(LINE, approve=TWO_DAYS).given(done("book"))
    told.when(fails("approve", took_effect=True)).expect(e.AttemptEnded, e.StepAwaiting)


def test_a_wait_may_be_skipped():
    told = story(LINE).where("approve", answer=None).given(done("book"))
    told.ends(SagaStatus.RUNNING, approve=StepStatus.SKIPPED, ship=StepStatus.DISPATCHED)


def test_asking_that_fails_for_good_turns_the_saga_round():
    told = story(LINE, approve=TWO_DAYS).given(done("book"), fails("approve"), rested("approve"))
    told.when(fails("approve")).ends(SagaStatus.COMPENSATING, approve=StepStatus.FAILED, book=StepStatus.COMPENSATING)


def test_a_wait_that_was_rendered_too_late_does_not_begin():
    told = waiting().when(asks(e.Verb.CANCEL)).ends(SagaStatus.COMPENSATING, approve=StepStatus.CANCELLED)
    told.when(e.WaitRendered(slot=APPROVE, policy=TWO_DAYS)).nothing()


# --------------------------------------------------------------------------------------------------------------- event


def test_an_event_answers_the_wait():
    told = waiting().when(event())
    told.expect(
        e.StepSucceeded(slot=APPROVE, attempt=0, result="yes", by="ada"),
        e.StepScheduled,
        e.ActivityRendered,
        e.StepDispatched,
    )
    told.asks(Settle(slot=APPROVE)).ends(SagaStatus.RUNNING, ship=StepStatus.DISPATCHED)


def test_whoever_does_not_say_who_he_is_is_known_by_his_event():
    told = waiting().when(event(actor=""))
    assert told.facts[0].by == "e1"


def test_a_second_event_changes_nothing():
    told = waiting().given(event())
    told.when(event("e2", "no")).expect(e.NewsIgnored)
    assert "the wait was over: succeeded" in told.facts[0].note
    assert told.step("approve").result == "yes"


@pytest.mark.parametrize("ahead", [[], [done("book")]])
def test_an_event_that_comes_early_is_kept(ahead):
    told = story(LINE, approve=TWO_DAYS).given(*ahead)
    told.when(event()).expect(e.EventKept(wait="approve", event_id="e1", payload="yes", actor="ada"))
    assert told.state.mail == (Mail(wait="approve", event_id="e1", payload="yes", actor="ada"),)
    told.when(event("e2", "no")).expect(e.NewsIgnored)
    assert "an earlier event" in told.facts[0].note


def test_what_came_early_answers_the_wait_as_soon_as_it_begins():
    told = story(LINE).where("approve", answer=TWO_DAYS).given(event())
    told.when(done("book")).ends(SagaStatus.RUNNING, approve=StepStatus.SUCCEEDED, ship=StepStatus.DISPATCHED)
    assert told.step("approve").result == "yes"
    assert Rest not in {type(command) for command in told.commands}


def test_an_event_before_the_saga_was_taken_up_is_kept():
    told = story(LINE)
    decision = decide(LINE, told.state, event())
    assert [type(fact) for fact in decision.facts] == [e.EventKept]
    assert decision.state.status is SagaStatus.PENDING


def test_who_sends_no_name_is_known_by_the_event_that_came_early():
    told = story(LINE).where("approve", answer=TWO_DAYS).given(event(actor=""))
    told.when(done("book"))
    assert next(fact.by for fact in told.facts if isinstance(fact, e.StepSucceeded) and fact.slot == APPROVE) == "e1"


def test_an_event_for_no_wait_is_noted():
    told = waiting()
    for name in ("ship", "nobody"):
        told.when(event(wait=name)).expect(e.NewsIgnored)
        assert "no wait of this name" in told.facts[0].note


def test_an_event_finds_its_wait_under_a_former_name():
    waiting().when(event(wait="consent", formerly=("agree", "approve"))).ends(
        SagaStatus.RUNNING, approve=StepStatus.SUCCEEDED
    )


def test_an_event_after_the_end_is_noted():
    told = waiting().given(event(), done("ship")).ends(SagaStatus.COMPLETED)
    told.when(event("e2")).expect(e.NewsIgnored)
    assert "ended" in told.facts[0].note


# ---------------------------------------------------------------------------------------------------------------- time


def test_nobody_answers():
    told = waiting().when(rested("approve"))
    told.ends(SagaStatus.COMPENSATING, approve=StepStatus.FAILED, book=StepStatus.COMPENSATING)
    assert told.state.turn.failure.type == "saga_celery.WaitTimeout"
    assert told.state.turn.failure.message == "nobody answered within 172800 s"


def test_a_skippable_wait_is_passed_over():
    told = waiting(policy=PASSED_OVER).when(rested("approve"))
    told.ends(SagaStatus.RUNNING, approve=StepStatus.SKIPPED, ship=StepStatus.DISPATCHED)
    assert told.facts[0] == e.StepSkipped(slot=APPROVE, by="clock")


def test_an_alarm_of_an_older_generation_rings_in_vain():
    waiting().when(e.RestOver(slot=APPROVE._replace(generation=2))).nothing()


def test_an_alarm_waits_while_the_saga_is_suspended():
    told = waiting().given(asks(e.Verb.SUSPEND))
    told.when(rested("approve")).nothing()


def test_an_event_answers_a_suspended_saga_which_goes_on_when_it_is_resumed():
    told = waiting().given(asks(e.Verb.SUSPEND))
    told.when(event()).expect(e.StepSucceeded)
    told.when(asks(e.Verb.RESUME)).ends(SagaStatus.RUNNING, ship=StepStatus.DISPATCHED)


def test_a_wait_that_was_rendered_for_a_suspended_saga_is_asked_for_again():
    told = story(LINE).where("approve", answer=Failure(type="Broken")).given(done("book"), asks(e.Verb.SUSPEND))
    told.when(e.WaitRendered(slot=APPROVE, policy=TWO_DAYS)).nothing()
    told.where("approve", answer=TWO_DAYS).given(asks(e.Verb.RESUME), asks(e.Verb.RETRY))
    told.ends(SagaStatus.RUNNING, approve=StepStatus.AWAITING)


def test_a_wait_has_no_arguments_that_could_be_changed():
    told = waiting(BEHIND, first="charge").given(rested("approve"))
    asked = e.OperatorAsked(verb=e.Verb.RETRY, actor="ada", reason="why", step="approve", args=(1,))
    with pytest.raises(NotAllowed, match="runs no task whose arguments could be changed"):
        told.when(asked)


def test_an_undone_saga_that_runs_again_waits_anew():
    told = waiting().given(rested("approve"), undone("book")).ends(SagaStatus.COMPENSATED)
    told.when(asks(e.Verb.RERUN, "book")).given(done("book")).ends(SagaStatus.RUNNING, approve=StepStatus.AWAITING)
    assert told.step("approve").action.generation == 2


def test_behind_the_pivot_a_wait_that_nobody_answers_is_parked_and_can_still_be_answered():
    told = waiting(BEHIND, first="charge").when(rested("approve"))
    told.ends(SagaStatus.FAILED, approve=StepStatus.EXHAUSTED).letters(("approve", Reason.EXHAUSTED))
    told.when(event()).ends(SagaStatus.RUNNING, approve=StepStatus.SUCCEEDED, ship=StepStatus.DISPATCHED)
    told.letters()


def test_a_retry_waits_anew():
    told = waiting(BEHIND, first="charge").given(rested("approve"))
    told.when(asks(e.Verb.RETRY)).ends(SagaStatus.RUNNING, approve=StepStatus.AWAITING)
    assert told.step("approve").action.generation == 2


def test_what_came_early_for_an_earlier_run_does_not_answer_the_next_one():
    told = story(LINE).where("approve", answer=TWO_DAYS).given(event(), done("book"), asks(e.Verb.CANCEL))
    told.given(done("ship"), undone("ship"), undone("book")).ends(SagaStatus.COMPENSATED)
    told.given(asks(e.Verb.RERUN, "book")).when(event("e2")).expect(e.EventKept)
    told.when(done("book")).ends(SagaStatus.RUNNING, approve=StepStatus.SUCCEEDED)
    assert told.step("approve").action.generation == 2
    assert [mail.generation for mail in told.state.mail] == [1, 2]


def test_a_sleep_is_over():
    told = story(linear("book", "nap", nap=SLEEP)).where("nap", answer=Policy(wait=5.0)).given(done("book"))
    told.asks(Rest(slot=Slot("nap"), attempt=0, seconds=5.0))
    told.when(rested("nap")).ends(SagaStatus.COMPLETED, nap=StepStatus.SUCCEEDED)
    assert e.StepSucceeded(slot=Slot("nap"), attempt=0, by="clock") in told.facts


# ---------------------------------------------------------------------------------------------------- asked and unknown


def test_asking_without_an_outcome_is_repeated():
    told = story(LINE, approve=TWO_DAYS).given(done("book"))
    told.when(lost("approve")).ends(SagaStatus.RUNNING, approve=StepStatus.BACKING_OFF)
    told.when(event()).expect(e.EventKept)
    told.when(done("approve")).expect(
        e.StepAwaiting, e.StepSucceeded, e.StepScheduled, e.ActivityRendered, e.StepDispatched
    )


def test_a_person_says_that_somebody_was_asked():
    told = story(LINE, approve=Policy(wait=9.0, retry=Retry(attempts=1))).given(done("book"), lost("approve"))
    told.ends(SagaStatus.FAILED, approve=StepStatus.IN_DOUBT)
    told.when(event()).expect(e.EventKept)
    told.when(asks(e.Verb.RESOLVE, resolution=e.Resolution.DONE))
    told.ends(SagaStatus.RUNNING, approve=StepStatus.SUCCEEDED)


def test_what_was_told_to_go_on_meanwhile_goes_on_when_somebody_was_asked():
    graph = plan(("p",), ("approve", "a"), pivot="p", approve=WAIT)
    fatal = Policy(retry=Retry(attempts=1), fatal=("shop.Refused",))
    told = story(graph, a=fatal, approve=Policy(wait=60.0, retry=Retry(attempts=1)))
    told.given(done("p"), lost("approve"), fails("a", FATAL), asks(e.Verb.RETRY, "a"))
    told.ends(SagaStatus.FAILED, approve=StepStatus.IN_DOUBT, a=StepStatus.SCHEDULED)
    told.when(asks(e.Verb.RESOLVE, "approve", e.Resolution.DONE))
    told.ends(SagaStatus.RUNNING, approve=StepStatus.AWAITING, a=StepStatus.DISPATCHED)


def test_who_is_asked_after_the_wait_was_passed_over_is_noted():
    told = story(LINE, approve=Policy(wait=9.0, retry=Retry(attempts=1))).given(done("book"), lost("approve"))
    told.given(asks(e.Verb.SKIP)).when(done("approve")).expect(e.NewsIgnored)
    assert "asked late" in told.facts[0].note


def test_a_wait_that_is_asked_for_while_the_saga_is_to_turn_round_is_called_off():
    told = story(LINE, approve=TWO_DAYS).given(done("book"), asks(e.Verb.CANCEL))
    told.ends(SagaStatus.RUNNING, approve=StepStatus.DISPATCHED)
    told.when(done("approve")).ends(SagaStatus.COMPENSATING, approve=StepStatus.CANCELLED)


# --------------------------------------------------------------------------------------------------------------- posted


def test_posted_news_always_leave_a_trace():
    told = waiting().given(asks(e.Verb.CANCEL))
    decision = decide_posted(LINE, told.state, asks(e.Verb.CANCEL))
    assert [type(fact) for fact in decision.facts] == [e.NewsIgnored]
    assert decision.facts[0].note == "cancel by ada: there was nothing to do"


def test_what_is_refused_is_noted():
    told = waiting(BEHIND, first="charge")
    decision = decide_posted(BEHIND, told.state, asks(e.Verb.CANCEL))
    assert decision.facts[0].note.startswith("cancel by ada: refused: the saga is behind its pivot")
    assert decision.state.turn is None


def test_posted_news_are_decided_as_any_other():
    told = waiting()
    assert decide_posted(LINE, told.state, event()).facts == decide(LINE, told.state, event()).facts
    assert decide_posted(LINE, told.state, asks(e.Verb.CANCEL)).state.turn.kind is TurnKind.CANCEL


def test_a_failure_beside_a_wait_calls_it_off():
    graph = plan(("approve", "charge"), ("ship",), approve=WAIT)
    told = story(graph).where("approve", answer=TWO_DAYS).given()
    told.when(fails("charge", FATAL)).given(rested("charge"), fails("charge", FATAL))
    told.ends(SagaStatus.COMPENSATED, approve=StepStatus.CANCELLED)
