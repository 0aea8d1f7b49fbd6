"""Verbs on sagas that had ended: `compensate` undoes a completed one, `rerun` lets steps run once more.

What runs again is a new generation: it has new keys, so no participant takes it for what it did before. What stands is
never run again, so a step can be rerun only when nothing is left of what it did.
"""

from __future__ import annotations

from saga_celery.core import events as e
from saga_celery.core.attempts import never_succeeded
from saga_celery.core.audit import acted, moves
from saga_celery.core.draft import Draft, NotAllowed
from saga_celery.core.lifecycle import RUNS_AGAIN
from saga_celery.core.plan import StepKind
from saga_celery.core.progress import DONE, advance, pivot_passed, turn
from saga_celery.core.states import (
    Direction,
    Reason,
    SagaStatus,
    Slot,
    StepState,
    StepStatus,
    Turn,
    TurnKind,
)

# ---------------------------------------------------------------------------------------------------------- compensate


def compensate(draft: Draft, news: e.OperatorAsked) -> None:
    """Undo a completed saga; done already where it is being undone.

    Raises:
        NotAllowed: it is not complete, has a pivot, or something waits for a person.
    """
    match draft.state.status:
        case SagaStatus.COMPENSATING:
            return
        case SagaStatus.COMPLETED:
            _undo(draft, news)
        case SagaStatus.COMPENSATED:
            raise NotAllowed("the saga is COMPENSATED already; there is nothing to undo")
        case status:
            raise NotAllowed(f"the saga is {status}; what has not ended is turned round by `cancel`; {moves(draft)}")


def _undo(draft: Draft, news: e.OperatorAsked) -> None:
    _refuse_child(draft)
    if pivot_passed(draft):
        raise NotAllowed("its pivot, the point of no return, lies behind: nothing can undo that")
    _refuse_letters(draft)
    acted(draft, news)
    turn(draft, Turn(kind=TurnKind.REQUEST, reason=news.reason))
    draft.record(e.SagaCompensating())
    advance(draft)


def _refuse_child(draft: Draft) -> None:
    parent = draft.state.parent
    if parent is not None:
        raise NotAllowed(f"it is a child of saga {parent.id}, which has its result: ask for the same there")


def _refuse_letters(draft: Draft) -> None:
    if draft.state.letters:
        raise NotAllowed(f"something of it waits for a person first; {moves(draft)}")


# --------------------------------------------------------------------------------------------------------------- rerun


def rerun(draft: Draft, news: e.OperatorAsked) -> None:
    """Let a saga run again from a step on.

    Raises:
        NotAllowed: something that the steps did still stands, or the saga moves by itself.
    """
    if news.step not in draft.plan.by_name:
        known = ", ".join(step.name for step in draft.plan.steps)
        raise NotAllowed(f"say from which step on; the saga has no step {news.step!r}, only {known}")
    match draft.state.status:
        case SagaStatus.COMPENSATED:
            _refuse_child(draft)
            _run_undone(draft, news)
        case SagaStatus.FAILED:
            _run_parked(draft, news)
        case SagaStatus.COMPLETED:
            raise NotAllowed("the saga is COMPLETED, and all that it did stands: `compensate` it first")
        case status:
            raise NotAllowed(f"the saga is {status} and moves by itself; wait for its end")


def _run_undone(draft: Draft, news: e.OperatorAsked) -> None:
    """Everything that does not stand runs again, so the first step of it has to be named."""
    _refuse_letters(draft)
    again = _again(draft, news.step)
    acted(draft, news)
    generation = _next_generation(draft.state.step(news.step))
    draft.record(e.SagaRerun(from_step=news.step, generation=generation))
    for name in again:
        step = draft.state.step(name)
        if step is not None and step.status is not StepStatus.REOPENED:
            _reopen(draft, step)
    advance(draft)


def _again(draft: Draft, from_step: str) -> list[str]:
    """The steps to run: the named one, all behind it, and whatever else does not stand."""
    followers = draft.plan.followers
    order = [step.name for step in draft.plan.steps]
    undone = [name for name in order if not _stands(draft, name)]
    again = {from_step, *undone, *followers[from_step], *(later for name in undone for later in followers[name])}
    for name in order:
        step = draft.state.step(name)
        if name in again and step is not None and step.items is not None:
            raise NotAllowed(f"step {name!r} ran a list of messages, and lists can not be rerun; start a new saga")
        if name in again and not _may_run_again(draft, name):
            raise NotAllowed(
                f"what step {name!r} did was not undone, so it can not run again; {_earliest(draft, undone)}"
            )
    if any(from_step in followers[name] for name in undone):
        raise NotAllowed(f"step {from_step!r} comes after others that do not stand; {_earliest(draft, undone)}")
    return [name for name in order if name in again]


def _earliest(draft: Draft, undone: list[str]) -> str:
    """The steps from which a rerun can begin."""
    followers = draft.plan.followers
    behind = {later for name in undone for later in followers[name]}
    if any(not _may_run_again(draft, name) for name in behind):
        return "no step of this saga can be rerun"
    return f"the earliest possible is {' or '.join(repr(name) for name in undone if name not in behind)}"


def _stands(draft: Draft, name: str) -> bool:
    step = draft.state.step(name)
    return step is not None and step.status in DONE


def _may_run_again(draft: Draft, name: str) -> bool:
    step = draft.state.step(name)
    if step is not None and step.status is StepStatus.SUCCEEDED:  # who waited did nothing that could stand
        return draft.plan.by_name[name].kind in (StepKind.WAIT, StepKind.SLEEP)
    return step is None or step.status in (*RUNS_AGAIN, StepStatus.REOPENED)


def _next_generation(step: StepState | None) -> int:
    """Higher than any that the step had in whatever direction, so that no key comes back."""
    if step is None:
        return 1
    if step.status is StepStatus.REOPENED:
        return step.action.generation
    return 1 + max(step.activity(direction).generation for direction in Direction)


def _reopen(draft: Draft, step: StepState) -> None:
    heard = step.action.attempt == 0 or not never_succeeded(step)
    slot = Slot(step.name, step.item, generation=_next_generation(step))
    draft.record(e.StepReopened(slot=slot, heard=heard))


def _run_parked(draft: Draft, news: e.OperatorAsked) -> None:
    """Behind the pivot a step that failed for good is made anew, by the code of today."""
    step = draft.state.step(news.step)
    found = draft.state.letter_for(news.step, 0, Direction.ACTION)
    if step is None or found is None or found.reason is not Reason.EXHAUSTED:
        parked = [letter.step for letter in draft.state.letters if letter.reason is Reason.EXHAUSTED]
        from_where = f"a rerun can begin at {', '.join(map(repr, parked))}" if parked else "no step of it can be rerun"
        raise NotAllowed(f"step {news.step!r} has not failed for good; {from_where}; {moves(draft)}")
    if step.action.lost:
        raise NotAllowed(
            f"nobody knows whether an earlier attempt of step {news.step!r} took effect, and a rerun would be a second "
            "one: retry it, under the same key, or skip it"
        )
    acted(draft, news)
    draft.record(e.SagaRerun(from_step=news.step, generation=_next_generation(step)))
    _reopen(draft, step)
    draft.unpark(found)
    advance(draft)
