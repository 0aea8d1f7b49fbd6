"""A message that can not be read: its body never ran, and only a person can mend it."""

from dataclasses import replace

import pytest

from saga_celery.core import events as e
from saga_celery.core.commands import Send, Settle
from saga_celery.core.retry import Retry
from saga_celery.core.states import Failure, Policy, Reason, SagaStatus, Slot, StepStatus
from tests.core.stories import COMPENSATION, ONCE, PROBE, TWICE, asks, done, fails, linear, lost, plan, rested, story

S = StepStatus
GONE = Failure(type="saga_celery.errors.PayloadMissing", message="payload 12ab is not in the payload store")


def unread(step, **options):
    return lambda at: replace(fails(step, GONE, **options)(at), parks=True)


@pytest.mark.parametrize("pivot", ["", "a"])
def test_the_step_parks_at_once_and_is_sent_again_when_it_is_mended(pivot):
    told = story(linear("a", "b", pivot=pivot), a=TWICE).given().when(unread("a"))
    told.expect(e.AttemptEnded, e.StepExhausted, e.SagaParked).asks(Settle(slot=Slot("a")))
    told.ends(SagaStatus.FAILED, a=S.EXHAUSTED).letters(("a", Reason.EXHAUSTED))
    assert told.state.letters[0].detail == f"{GONE.type}: {GONE.message}"

    told.when(asks(e.Verb.RETRY)).ends(SagaStatus.RUNNING, a=S.DISPATCHED).asks(Send(slot=Slot("a"), attempt=2))
    told.when(done("a")).ends(SagaStatus.RUNNING, a=S.SUCCEEDED, b=S.DISPATCHED)


def test_an_earlier_attempt_whose_outcome_is_unknown_leaves_it_in_doubt():
    told = story(linear("a"), a=TWICE).given(lost("a"), rested("a")).when(unread("a"))
    told.ends(SagaStatus.FAILED, a=S.IN_DOUBT).letters(("a", Reason.IN_DOUBT))


def test_a_saga_that_turns_round_needs_no_person_for_what_never_ran():
    told = story(plan(("a", "b")), a=TWICE).given(asks(e.Verb.CANCEL)).when(unread("a"))
    told.ends(SagaStatus.RUNNING, a=S.FAILED, b=S.DISPATCHED)


def test_a_compensation_parks_at_once():
    told = story(linear("a", "b"), b=ONCE).given(done("a"), fails("b"))
    told.when(unread("a", direction=COMPENSATION))
    told.ends(SagaStatus.FAILED, a=S.COMPENSATION_EXHAUSTED).letters(("a", Reason.COMPENSATION_EXHAUSTED))


def test_a_probe_that_can_not_be_read_found_no_answer():
    once = Policy(retry=Retry(attempts=1), probe=True)
    told = story(linear("a"), a=once, a_probe=once).given(lost("a"), rested("a", PROBE))
    told.when(unread("a", direction=PROBE)).ends(SagaStatus.FAILED, a=S.IN_DOUBT)
