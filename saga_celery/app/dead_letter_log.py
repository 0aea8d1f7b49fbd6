"""One line in the log for each dead letter, in the process that committed it, so that no saga fails unheard."""

from __future__ import annotations

import logging
from collections.abc import Callable

from saga_celery.app.reading import words
from saga_celery.app.reading.excerpt import first_line
from saga_celery.core.events import EffectAfterEnd, SagaParked
from saga_celery.core.moves import Move, next_moves
from saga_celery.core.plan import Plan
from saga_celery.core.states import NEXT_MOVES, DeadLetter, SagaState, step_label
from saga_celery.definition.commands import command
from saga_celery.engine.coordinator import Handled
from saga_celery.engine.log_fields import about_state
from saga_celery.engine.redaction import Redaction
from saga_celery.errors import StoreError

logger = logging.getLogger("saga_celery")

LONGEST = 300
"""Characters of what went wrong; of a traceback, which a dead letter may hold, that is its first line."""


def log_dead_letters(handled: Handled, plan_of: Callable[[str], Plan], redaction: Callable[[], Redaction]) -> None:
    """Say what waits for a person since a transition, and what to press. It never raises.

    Args:
        handled: the saga after it, and its facts.
        plan_of: reads a plan by its hash.
        redaction: gives what hides secrets in texts of others, once it is needed.
    """
    for fact in handled.facts:
        if isinstance(fact, SagaParked | EffectAfterEnd):
            _log(handled.state, fact.letter, plan_of, redaction())


def _log(state: SagaState, letter: DeadLetter, plan_of: Callable[[str], Plan], redaction: Redaction) -> None:
    logger.error(
        "saga %s (%s): %s waits for a person: %s%s; next: celery -A … saga %s",
        state.id,
        state.name,
        words.activity_label(letter.slot),
        words.reason(letter),
        f" ({first_line(redaction.text(letter.detail), LONGEST)})" if letter.detail else "",
        command(_next_move(state, letter, plan_of), state.id, step_label(letter.step, letter.item)),
        extra=about_state(state, slot=letter.slot, attempt=letter.attempt or _attempt(state, letter)),
    )


def _next_move(state: SagaState, letter: DeadLetter, plan_of: Callable[[str], Plan]) -> Move:
    """The plan was read for the very transition, so it is at hand; where it is not, the reason alone tells."""
    try:
        possible = next_moves(plan_of(state.plan_hash), state, letter)
    except StoreError:
        possible = ()
    return possible[0] if possible else Move(NEXT_MOVES[letter.reason][0])


def _attempt(state: SagaState, letter: DeadLetter) -> int | None:
    step = state.step(letter.step, letter.item)
    return None if step is None else step.activity(letter.direction).attempt
