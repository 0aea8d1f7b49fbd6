"""Results that a person supplies: for a step that is skipped or was done, or in place of one that does not fit."""

from __future__ import annotations

from collections.abc import Sequence

from saga_celery.core import events as e
from saga_celery.core.audit import acted
from saga_celery.core.draft import Draft, NotAllowed
from saga_celery.core.lifecycle import OPEN_ACTION, RESULT_STANDS
from saga_celery.core.plan import Plan, StepKind
from saga_celery.core.progress import advance
from saga_celery.core.states import DeadLetter, Direction, Reason, SagaState, Slot, StepStatus, step_label

_UNDER_WAY = (*OPEN_ACTION, StepStatus.QUEUED, StepStatus.FANNED_OUT, StepStatus.AWAITING)


def takes_result(plan: Plan, news: e.OperatorAsked, found: DeadLetter) -> bool:
    """Tell whether what a person supplies becomes the result of the step that a letter is about."""
    if found.direction is not Direction.ACTION or found.reason is Reason.LATE_EFFECT or not found.step:
        return False
    if news.verb is e.Verb.RESOLVE:  # who waited and was in doubt whether it had asked, still has to be answered
        return news.resolution is not e.Resolution.NEVER and plan.by_name[found.step].kind is not StepKind.WAIT
    return True


def check_owner(draft: Draft, news: e.OperatorAsked, letters: Sequence[DeadLetter]) -> None:
    """Refuse a result that would be nobody's, or that of several steps.

    Raises:
        NotAllowed: none of the letters takes it, or more than one does.
    """
    takers = [step_label(found.step, found.item) for found in letters if takes_result(draft.plan, news, found)]
    if news.result is None or len(takers) == 1:
        return
    if takers:
        raise NotAllowed(f"one result can not be that of each of {', '.join(takers)}; name the step that is meant")
    what = f"{letters[0].direction.value} of {step_label(letters[0].step, letters[0].item) or 'the result'}"
    raise NotAllowed(f"a result was supplied, but what is settled here is the {what}, which takes none: leave it out")


# ------------------------------------------------------------------------------------------------------------- replace


def complaints(plan: Plan, state: SagaState, news: e.OperatorAsked) -> list[DeadLetter]:
    """The letters that a result in place of the stored one may settle: what could not be made, and may take it."""
    step = state.step(news.step)
    supplied = news.verb is e.Verb.RESOLVE and news.result is not None and news.resolution is not e.Resolution.NEVER
    if step is None or not supplied or step.status not in RESULT_STANDS:
        return []
    return [
        found
        for found in state.letters
        if found.reason is Reason.RENDER_FAILED
        and (not found.step or found.step == news.step or found.step in plan.followers[news.step])
    ]


def replace_result(draft: Draft, news: e.OperatorAsked, letters: Sequence[DeadLetter]) -> None:
    """Put another result in the place of that of a step that is done, and make again what could not be made.

    Raises:
        NotAllowed: a step behind it is under way, and may have been given the result that is there now.
    """
    step = draft.state.steps[(news.step, 0)]
    for follower in draft.plan.followers[step.name]:
        later = draft.state.step(follower)
        if later is not None and later.status in _UNDER_WAY:
            raise NotAllowed(
                f"step {follower!r} is under way, and may have been given the result of {step.name!r} that is there "
                "now; wait for its end"
            )
    acted(draft, news)
    draft.record(e.ResultReplaced(slot=Slot(step.name), result=news.result, by=news.actor))
    for found in letters:
        draft.unpark(found)
    advance(draft)
