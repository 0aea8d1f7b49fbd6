"""Sagas whose class no worker has: removed by a deploy, or its module is not imported where coordinators run.

While a deploy rolls, some workers have a class that others lack, so a coordinator without it leaves the nudge to be
repeated. Only when coordinators have been taking the nudge in vain for long is the saga parked. That they were merely
away does not count: a nudge that nobody took was not taken in vain.
"""

from __future__ import annotations

from saga_celery.core.commands import Render, RenderResult
from saga_celery.core.events import OperatorAsked, RenderFailed, Verb
from saga_celery.core.states import DeadLetter, Reason, SagaState
from saga_celery.engine.failures import failure_named
from saga_celery.engine.ports import NUDGE_SLOT, Awaited, Due, Unanswered

PATIENCE = 600.0
"""Seconds between the first and the latest nudge in vain after which the saga is parked."""
FEWEST = 5
"""Nudges in vain that it takes, too: two that lie ten minutes apart, with an outage between them, tell nothing."""
LOOK_FOR_CLASS = Due(slot=NUDGE_SLOT, awaited=Awaited.NUDGE, seconds=PATIENCE)
"""What a saga awaits that is parked for its class."""
ACTOR = "saga_celery"
"""Who lets it go on."""

_KIND = "ClassMissing"


def given_up(unanswered: Unanswered) -> bool:
    """Tell whether it is time to call a person."""
    return unanswered.times >= FEWEST and unanswered.seconds >= PATIENCE


def class_missing(state: SagaState, wish: Render | RenderResult) -> RenderFailed:
    """The news that nobody can make what the machine wishes for."""
    message = (
        f"no worker that took this saga up has a saga class named {state.name!r}; deploy it again, import its module "
        "where the coordinators run (`include=` of the Celery app), or name it in renamed_from= of the class that does "
        "its work now. The saga then goes on by itself, or at once with `retry`"
    )
    slot = wish.slot if isinstance(wish, Render) else None
    return RenderFailed(slot=slot, failure=failure_named(_KIND, message, step=slot.step if slot else ""))


def letter_of(state: SagaState) -> DeadLetter | None:
    """The dead letter of a saga that is parked for its class."""
    marked = f"saga_celery.{_KIND}:"
    found = (each for each in state.letters if each.reason is Reason.RENDER_FAILED and each.detail.startswith(marked))
    return next(found, None)


def wish_of(state: SagaState, letter: DeadLetter) -> Render | RenderResult:
    """What could not be made then."""
    step = state.step(letter.step, letter.item)
    return RenderResult() if step is None else Render(slot=step.slot(letter.direction))


def retry(letter: DeadLetter) -> OperatorAsked:
    """Let the saga go on."""
    return OperatorAsked(verb=Verb.RETRY, actor=ACTOR, reason="a worker has the class again", step=letter.step)
