"""What can be asked of a saga as it stands, with all that a form needs to ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from saga_celery.app import SagaApp
from saga_celery.app.reading import words
from saga_celery.app.reading.case import Case
from saga_celery.app.reading.waiting import waiting
from saga_celery.contrib.console.answer_form import answer_form
from saga_celery.contrib.console.arguments import arguments
from saga_celery.core.editing import RESTING, SETTLED
from saga_celery.core.events import Resolution
from saga_celery.core.moves import behind_pivot, next_moves
from saga_celery.core.plan import StepKind
from saga_celery.core.states import DeadLetter, Direction, SagaStatus, StepState

Offer = dict[str, Any]
"""`verb` and `step`; `arguments` that a retry may change; `resolutions`, each with whether a `result` goes with it, and
`takes_result` of a skip; `fields` and `event` of an answer."""


def offers(app: SagaApp, case: Case) -> list[Offer]:
    """What can be asked, the likeliest first. A saga may still refuse it: what it allows is decided when it is asked.

    Args:
        app: where it is.
        case: the saga.
    """
    return [*_settling(app, case), *_answers(case), *_resting(app, case), *_whole(case)]


def _settling(app: SagaApp, case: Case) -> Iterator[Offer]:
    """Of the dead letters; what turns the whole saga round is offered once."""
    seen: set[tuple[str, str]] = set()
    for letter in case.found.state.letters:
        found = next_moves(case.plan, case.found.state, letter)
        for verb in dict.fromkeys(move.verb for move in found):
            step = "" if verb == "cancel" or not letter.step else words.step_label(letter.step, letter.item)
            if (verb, step) not in seen:
                seen.add((verb, step))
                resolutions = {move.resolution: move.result for move in found if move.verb == verb and move.resolution}
                yield _offer(verb, step, **_details(app, case, letter, verb, resolutions))


def _details(app: SagaApp, case: Case, letter: DeadLetter, verb: str, resolutions: dict[str, bool]) -> dict[str, Any]:
    if verb == "retry" and letter.reason in SETTLED:
        return {"arguments": _arguments(app, case, case.found.state.step(letter.step, letter.item), letter.direction)}
    if verb == "resolve":
        return {"resolutions": resolutions or {each.value: False for each in Resolution}}
    return {"takes_result": verb == "skip" and letter.direction is Direction.ACTION}


def _answers(case: Case) -> Iterator[Offer]:
    for wait in waiting(case.found, case.plan):
        if wait.kind is StepKind.WAIT:
            fields = answer_form(case.found.state.name, wait.step)
            yield _offer("send", wait.step, event=wait.event or None, fields=fields, until=wait.until)


def _resting(app: SagaApp, case: Case) -> Iterator[Offer]:
    for step in case.found.state.steps.values():
        if step.status in RESTING:
            arguments = _arguments(app, case, step, RESTING[step.status])
            yield _offer("retry", words.step_label(step.name, step.item), arguments=arguments)


def _whole(case: Case) -> Iterator[Offer]:
    state = case.found.state
    if not state.status.ended:
        yield _offer("resume" if state.suspended else "suspend")
    if state.status in (SagaStatus.PENDING, SagaStatus.RUNNING) and not behind_pivot(case.plan, state):
        yield _offer("cancel")


def _offer(verb: str, step: str = "", **details: Any) -> Offer:
    return {"verb": verb, "step": step, **details}


def _arguments(app: SagaApp, case: Case, step: StepState | None, direction: Direction) -> dict[str, Any] | None:
    """What the task was called with; None: there is nothing that could be changed."""
    if step is None or case.plan.by_name[step.name].kind is not StepKind.TASK:
        return None
    message = step.activity(direction).message
    return None if message is None else arguments(app, case.found.saga.id, message)
