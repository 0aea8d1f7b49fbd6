"""One saga in full."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from saga_celery.app import SagaApp
from saga_celery.app.reading import words
from saga_celery.app.reading.case import Case, case_of
from saga_celery.app.reading.plain import plain
from saga_celery.app.reading.saga_record import saga_record
from saga_celery.app.reading.sentences import cause
from saga_celery.contrib.console.arguments import arguments
from saga_celery.contrib.console.layout import layout
from saga_celery.contrib.console.offers import offers
from saga_celery.contrib.console.plan_record import look, plan_record
from saga_celery.contrib.console.timeline import timeline
from saga_celery.contrib.console.trouble import of_letter, of_waits
from saga_celery.core.moves import next_moves
from saga_celery.core.states import StepState

MOST_STEPS = 300
"""Steps and items of lists that are told of one by one."""
MOST_HISTORY = 300
"""Transitions that are told of: the latest."""


def saga(app: SagaApp, saga_id: str) -> dict[str, Any]:
    """A saga: its plan, how far each step got in both directions, what it waits for, its family, and its history.

    Args:
        app: where it is.
        saga_id: its id.

    Returns:
        What `saga show --json --history` tells, values redacted, and beside it `plan`, `graph`, `troubles`, `timeline`
        and `moves`: what can be asked of the saga now.

    Raises:
        SagaNotFound: there is none.
    """
    app.check_schema()
    case = case_of(app, saga_id)
    record = saga_record(case, with_history=True)
    plan, turn = plan_record(case.plan, case.found.state), case.found.state.turn
    steps = [{**each, "label": words.step_label(each["step"], each["item"])} for each in record["steps"]]
    found: dict[str, Any] = plain(
        {
            **record,
            "because": None if turn is None else cause(turn),
            "plan": plan,
            "graph": layout(plan),
            "steps": [
                {
                    **each,
                    "words": words.step_status(step),
                    "look": look(step.status),
                    "arguments": _arguments(app, saga_id, step),
                }
                for each, step in zip(steps[:MOST_STEPS], case.found.state.steps.values(), strict=False)
            ],
            "steps_left_out": max(len(steps) - MOST_STEPS, 0),
            "history": record["history"][-MOST_HISTORY:],
            "history_left_out": max(len(record["history"]) - MOST_HISTORY, 0),
            "troubles": [*_letters(case), *of_waits(case.found.awaited, case.now)],
            "moves": offers(app, case),
            "timeline": timeline(case),
            "now": case.now,
        }
    )
    return found


def _letters(case: Case) -> Iterator[dict[str, Any]]:
    state = case.found.state
    return (of_letter(letter, next_moves(case.plan, state, letter)) for letter in state.letters)


def _arguments(app: SagaApp, saga_id: str, step: StepState) -> dict[str, Any] | None:
    message = step.action.message
    return None if message is None else arguments(app, saga_id, message)
