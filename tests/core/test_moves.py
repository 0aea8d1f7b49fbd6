"""Whatever is named as a next move is possible, and what is not possible is not named."""

import re

import pytest

from saga_celery.core import events as e
from saga_celery.core.draft import NotAllowed
from saga_celery.core.moves import Move, next_moves, verbs
from saga_celery.core.plan import StepKind
from saga_celery.core.states import SagaStatus
from tests.core.stories import COMPENSATION, MISHAP, ONCE, asks, done, linear, lost, plan, story
from tests.core.test_operators import (
    exhausted,
    in_doubt,
    late_effect,
    render_failed,
    result_failed,
    undo_exhausted,
    undo_in_doubt,
)

RETRY, SKIP, CANCEL = Move("retry"), Move("skip"), Move("cancel")
DOUBT = (Move("resolve", "done", result=True), Move("resolve", "never"), RETRY, SKIP)
DOUBT_WITHOUT_RESULT = (Move("resolve", "done"), *DOUBT[1:])


def render_failed_behind_the_pivot():
    return story(linear("p", "a", pivot="p")).where("a", answer=MISHAP).given(done("p"))


def undo_not_rendered():
    return story(linear("a", "b")).where("a", COMPENSATION, MISHAP).given(done("a"))


def undo_not_rendered_going_back():
    saga = undo_not_rendered()
    return saga.given(asks(e.Verb.CANCEL))


def result_failed_before_the_pivot():
    return story(linear("a")).where("", answer=MISHAP).given(done("a"))


def render_failed_beside_doubt():
    return story(plan(("c", "b")), c=ONCE).where("b", answer=MISHAP).given(lost("c"))


def asking_in_doubt():
    return story(linear("a", a=StepKind.WAIT), a=ONCE).given(lost("a"))


MOVES = [
    (exhausted, (RETRY, SKIP)),
    (undo_exhausted, (RETRY, SKIP)),
    (in_doubt, DOUBT),
    (undo_in_doubt, DOUBT_WITHOUT_RESULT),
    (asking_in_doubt, DOUBT_WITHOUT_RESULT),
    (late_effect, (Move("resolve"),)),
    (render_failed, (RETRY, SKIP, CANCEL)),
    (render_failed_behind_the_pivot, (RETRY, SKIP)),
    (undo_not_rendered, (RETRY, SKIP, CANCEL)),
    (undo_not_rendered_going_back, (RETRY, SKIP)),
    (result_failed, (RETRY, CANCEL)),
    (render_failed_beside_doubt, (RETRY, SKIP)),
]


@pytest.mark.parametrize(("at", "moves"), MOVES)
def test_each_letter_has_the_moves_that_are_possible(at, moves):
    saga = at()
    assert next_moves(saga.plan, saga.state, saga.state.letters[0]) == moves


@pytest.mark.parametrize("at", [at for at, _ in MOVES])
def test_what_is_named_is_not_refused_and_what_is_not_named_is(at):
    saga = at()
    letter = saga.state.letters[0]
    possible = next_moves(saga.plan, saga.state, letter)
    for move in possible:
        at().when(_asked(move, letter.step))
    for verb in {"retry", "skip", "cancel", "resolve"} - set(verbs(possible)):
        if len(saga.state.letters) == 1:
            with pytest.raises(NotAllowed):
                at().when(_asked(Move(verb), letter.step))


def _asked(move, step):
    resolution = e.Resolution(move.resolution) if move.resolution else None
    step = "" if move.verb == "cancel" else step
    return asks(e.Verb(move.verb), step=step, resolution=resolution, result="r" if move.result else None)


def test_a_refusal_names_what_is_possible_then():
    with pytest.raises(NotAllowed, match=re.escape("undone already; possible now: a: retry, skip") + "$"):
        undo_not_rendered_going_back().when(asks(e.Verb.CANCEL))
    assert undo_not_rendered_going_back().state.status is SagaStatus.FAILED
