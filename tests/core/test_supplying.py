"""A result that a person supplies is the step's own, or refused; one that does not fit can be replaced."""

from dataclasses import replace

import pytest

from saga_celery.core import events as e
from saga_celery.core.commands import Send
from saga_celery.core.draft import NotAllowed
from saga_celery.core.plan import StepKind
from saga_celery.core.states import Reason, SagaStatus, Slot, StepStatus
from tests.core.stories import (
    COMPENSATION,
    MISHAP,
    ONCE,
    asks,
    done,
    linear,
    lost,
    plan,
    story,
    undo_exhausted,
    undo_in_doubt,
)

SKIP, RESOLVE = e.Verb.SKIP, e.Verb.RESOLVE
DONE, NEVER = e.Resolution


def asking_in_doubt():
    return story(linear("a", a=StepKind.WAIT), a=ONCE).given(lost("a"))


def in_doubt():
    return story(linear("a"), a=ONCE).given(lost("a"))


@pytest.mark.parametrize(
    ("at", "asked", "what"),
    [
        (undo_exhausted, asks(SKIP, result="x"), "compensation of a"),
        (undo_in_doubt, asks(RESOLVE, resolution=DONE, result="x"), "compensation of a"),
        (asking_in_doubt, asks(RESOLVE, resolution=DONE, result="x"), "action of a"),
        (in_doubt, asks(RESOLVE, resolution=NEVER, result="x"), "action of a"),
    ],
)
def test_a_result_that_would_be_nobody_s_is_refused(at, asked, what):
    saga = at()
    before = saga.state
    with pytest.raises(NotAllowed, match=f"what is settled here is the {what}, which takes none"):
        saga.when(asked)
    assert saga.state == before


def unfit(**policies):
    """Behind its pivot, with a result that the next step can not be made of."""
    return story(linear("p", "a", "b", pivot="p"), **policies).where("b", answer=MISHAP).given(done("p"), done("a", 7))


def test_a_result_that_does_not_fit_is_replaced_and_the_saga_goes_on():
    saga = unfit().letters(("b", Reason.RENDER_FAILED)).where("b", answer=...)
    saga.when(asks(RESOLVE, step="a", result="x"))
    assert saga.facts[0] == e.OperatorActed(verb=RESOLVE, actor="ada", reason="she knows", step="a")
    assert saga.facts[1] == e.ResultReplaced(slot=Slot("a"), result="x", by="ada")
    saga.asks(Send(slot=Slot("b"), attempt=1)).letters().ends(SagaStatus.RUNNING)
    assert saga.step("a").result == "x"


def test_what_undoes_the_step_is_made_again_of_the_new_result():
    saga = unfit()
    before = saga.step("a").compensation
    saga.where("b", answer=...).when(asks(RESOLVE, step="a", resolution=DONE, result="x"))
    after = saga.step("a").compensation
    assert (before.message.kwargs["result"], after.message.kwargs["result"]) == (7, "x")
    assert before.generation == after.generation


def test_the_saga_s_own_result_may_be_what_could_not_be_made():
    saga = story(linear("a", keeps=("a",))).where("", answer=MISHAP).given(done("a", 7)).where("", answer=...)
    saga.when(asks(RESOLVE, step="a", result="x")).ends(SagaStatus.COMPLETED)


def test_so_may_the_step_s_own_compensation():
    saga = story(linear("a", "b")).where("a", COMPENSATION, MISHAP).given(done("a", 7)).where("a", COMPENSATION, ...)
    saga.when(asks(RESOLVE, step="a", result="x")).ends(SagaStatus.RUNNING, b=StepStatus.DISPATCHED)


def test_a_result_stays_while_a_step_that_may_have_been_given_it_is_under_way():
    saga = story(plan(("a",), ("c", "b"))).where("b", answer=MISHAP).given(done("a", 7))
    with pytest.raises(NotAllowed, match="step 'c' is under way, and may have been given the result of 'a'"):
        saga.when(asks(RESOLVE, step="a", result="x"))
    saga.given(done("c")).where("b", answer=...).when(asks(RESOLVE, step="a", result="x")).letters()


@pytest.mark.parametrize("step", ["b", "c"])
def test_only_what_is_done_and_comes_before_has_a_result_to_replace(step):
    saga = story(plan(("a", "c"), ("b",))).where("b", answer=MISHAP).given(done("a", 7), done("c"))
    if step == "c":
        saga = story(plan(("a",), ("b", "c"))).where("b", answer=MISHAP).given(done("a", 7), done("c"))
    with pytest.raises(NotAllowed, match=f"no step is in doubt at step '{step}'"):
        saga.when(asks(RESOLVE, step=step, result="x"))


def test_a_result_that_one_of_several_letters_takes_is_not_idle():
    saga = story(plan(("a", "c")), a=ONCE).where("c", COMPENSATION, MISHAP).given(done("c", 1), lost("a"))
    saga.letters(("c", Reason.RENDER_FAILED), ("a", Reason.IN_DOUBT)).when(asks(SKIP, result="x"))
    assert (saga.step("a").result, saga.step("c").result) == ("x", 1)


@pytest.mark.parametrize("news", [{"verb": e.Verb.SKIP}, {"verb": e.Verb.RESOLVE, "resolution": e.Resolution.DONE}])
def test_one_result_is_not_taken_for_that_of_several_steps(news):
    told = story(plan(("a", "b"), ("c",)), a=ONCE, b=ONCE).given(lost("a"), lost("b"))
    asked = e.OperatorAsked(reason="looked", actor="ann", result=7, **news)
    with pytest.raises(NotAllowed, match="can not be that of each of a, b; name the step that is meant"):
        told.when(asked)
    told.when(replace(asked, step="a")).letters(("b", Reason.IN_DOUBT))
