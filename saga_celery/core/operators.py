"""What a person may ask of a saga. Every verb that is accepted leaves its actor and reason in the history."""

from __future__ import annotations

from typing import assert_never

from saga_celery.core import events as e
from saga_celery.core.attempts import (
    action_failed_for_good,
    dispatch_action,
    in_doubt,
    is_fatal,
    settle_compensation,
    took_effect,
)
from saga_celery.core.audit import acted, check_version, letters_for, means, moves, nothing
from saga_celery.core.commands import Settle
from saga_celery.core.draft import Draft, NotAllowed
from saga_celery.core.editing import retry_edited
from saga_celery.core.plan import StepKind
from saga_celery.core.progress import advance, dispatch_compensation, pivot_passed, take_up, turn
from saga_celery.core.reopening import compensate, rerun
from saga_celery.core.states import (
    DeadLetter,
    Direction,
    Failure,
    Reason,
    SagaStatus,
    Slot,
    StepState,
    StepStatus,
    Turn,
    TurnKind,
)
from saga_celery.core.supplying import check_owner, complaints, replace_result
from saga_celery.core.suspension import resume, suspend


def asked(draft: Draft, news: e.OperatorAsked) -> None:
    """Do what a person asks for, or say why not.

    Raises:
        NotAllowed: the saga's state does not allow the verb; the text names what it does allow.
        Outdated: the saga has moved since the person looked at it.
    """
    check_version(draft, news)
    match news.verb:
        case e.Verb.CANCEL:
            _cancel(draft, news)
        case e.Verb.RETRY if news.args is not None or news.kwargs is not None:
            retry_edited(draft, news)
        case e.Verb.RETRY:
            _retry(draft, news)
        case e.Verb.SKIP:
            _skip(draft, news)
        case e.Verb.RESOLVE:
            _resolve(draft, news)
        case e.Verb.SUSPEND:
            suspend(draft, news)
        case e.Verb.RESUME:
            resume(draft, news)
        case e.Verb.COMPENSATE:
            compensate(draft, news)
        case e.Verb.RERUN:
            rerun(draft, news)
        case _ as never:
            assert_never(never)


# -------------------------------------------------------------------------------------------------------------- cancel


def _cancel(draft: Draft, news: e.OperatorAsked) -> None:
    cause = Turn(kind=TurnKind.CANCEL, reason=news.reason)
    match draft.state.status:
        case SagaStatus.PENDING | SagaStatus.RUNNING if _is_cancelled(draft):
            return
        case SagaStatus.PENDING:
            acted(draft, news)
            turn(draft, cause)
            take_up(draft)
        case SagaStatus.RUNNING:
            _refuse_behind_pivot(draft)
            acted(draft, news)
            turn(draft, cause)
            advance(draft)
        case SagaStatus.COMPENSATING:
            return
        case SagaStatus.FAILED:
            _cancel_parked(draft, news, cause)
        case SagaStatus.COMPLETED | SagaStatus.COMPENSATED:
            raise NotAllowed(f"the saga is {draft.state.status} already; there is nothing to cancel")
        case _ as never:
            assert_never(never)


def _is_cancelled(draft: Draft) -> bool:
    """Told before; it is done when nothing is in flight any more, or when the saga is resumed."""
    return draft.state.turn is not None and draft.state.turn.kind is TurnKind.CANCEL


def _refuse_behind_pivot(draft: Draft) -> None:
    if pivot_passed(draft):
        raise NotAllowed("the saga is behind its pivot and can only go forward; wait for it, or retry or skip a step")


def _cancel_parked(draft: Draft, news: e.OperatorAsked, cause: Turn) -> None:
    """A parked saga can be turned round when the only thing in its way is its own rendering code."""
    if draft.state.parked_from is SagaStatus.COMPENSATING:
        raise NotAllowed(f"the saga is being undone already; {moves(draft)}")
    _refuse_behind_pivot(draft)
    if any(found.reason is not Reason.RENDER_FAILED for found in draft.state.letters):
        raise NotAllowed(f"settle the step in doubt first; {moves(draft)}")
    acted(draft, news)
    for found in draft.state.letters:
        draft.unpark(found)
    turn(draft, cause)
    advance(draft)


# --------------------------------------------------------------------------------------------------------------- retry


def _retry(draft: Draft, news: e.OperatorAsked) -> None:
    letters = letters_for(draft.state, news)
    resting = [step for step in draft.state.steps.values() if _rests(step, news.step)]
    if not letters and not resting:
        raise NotAllowed(nothing(draft, news, "nothing waits to be retried"))
    acted(draft, news)
    for found in letters:
        draft.unpark(found)
        _run_again(draft, found)
    for step in resting:
        _run_now(draft, step)
    advance(draft)


def _rests(step: StepState, name: str) -> bool:
    resting = step.status in (StepStatus.BACKING_OFF, StepStatus.COMPENSATION_BACKING_OFF)
    return resting and means(name, step.name, step.item)


def _run_again(draft: Draft, found: DeadLetter) -> None:
    """Render failures are mended by `advance`, which asks for the message once more.

    What failed fatally runs again as a new generation, as a participant keeps that answer under its key. So does what
    waited: as a new wait, or with a new child saga.
    """
    step = draft.state.step(found.step, found.item)
    if step is None or found.reason is Reason.RENDER_FAILED:
        return
    slot = step.slot(found.direction)
    waited = found.direction is Direction.ACTION and draft.plan.by_name[step.name].kind is not StepKind.TASK
    if waited or is_fatal(step.activity(found.direction)):
        _open_generation(draft, slot, step)
    elif found.direction is Direction.ACTION:
        dispatch_action(draft, slot)
    else:
        dispatch_compensation(draft, slot)


def _open_generation(draft: Draft, slot: Slot, step: StepState) -> None:
    """Run a settled activity again: under a new key, hence with a new message."""
    again = slot._replace(generation=slot.generation + 1)
    if slot.direction is Direction.ACTION:
        draft.record(e.StepScheduled(slot=again, order=step.order))
    else:
        draft.record(e.CompensationScheduled(slot=again))


def _run_now(draft: Draft, step: StepState) -> None:
    if step.status is StepStatus.BACKING_OFF:
        dispatch_action(draft, step.slot(Direction.ACTION))
    else:
        dispatch_compensation(draft, step.slot(Direction.COMPENSATION))


# ---------------------------------------------------------------------------------------------------------------- skip


def _skip(draft: Draft, news: e.OperatorAsked) -> None:
    letters = letters_for(draft.state, news)
    if not letters:
        raise NotAllowed(nothing(draft, news, "only a step in the dead letters can be skipped"))
    check_owner(draft, news, letters)
    acted(draft, news)
    for found in letters:
        _pass_over(draft, found, news)
        draft.unpark(found)
    advance(draft)


def _pass_over(draft: Draft, found: DeadLetter, news: e.OperatorAsked) -> None:
    step = draft.state.step(found.step, found.item)
    if step is None:
        raise NotAllowed("the saga's result could not be made, which can not be skipped: mend `result()` and retry")
    slot = step.slot(found.direction)
    draft.command(Settle(slot=slot))
    if found.direction is Direction.PROBE:
        in_doubt(draft, step.slot(Direction.ACTION), "the probe was skipped")
    elif found.direction is Direction.ACTION:
        draft.record(e.StepSkipped(slot=slot, result=news.result, by=news.actor))
    elif step.status is StepStatus.SUCCEEDED:
        draft.record(e.ActivityRendered(slot=slot, message=None, policy=step.action.policy, waived_by=news.actor))
    else:
        draft.record(e.CompensationSkipped(slot=slot, by=news.actor, waived=True))


# ------------------------------------------------------------------------------------------------------------- resolve


def _resolve(draft: Draft, news: e.OperatorAsked) -> None:
    letters = letters_for(draft.state, news)
    if not_made := complaints(draft.plan, draft.state, news):
        replace_result(draft, news, not_made)
        return
    if not letters:
        raise NotAllowed(nothing(draft, news, "no step is in doubt"))
    check_owner(draft, news, letters)
    acted(draft, news)
    for found in letters:
        _settle(draft, found, news)


def _settle(draft: Draft, found: DeadLetter, news: e.OperatorAsked) -> None:
    if found.reason is Reason.LATE_EFFECT:
        _dismiss(draft, found)
        return
    step = draft.state.steps[(found.step, found.item)]
    slot = step.slot(found.direction)
    match news.resolution:
        case e.Resolution.NEVER:
            _settle_never(draft, slot, step, found, news)
        case e.Resolution.DONE if found.direction is Direction.COMPENSATION:
            settle_compensation(draft, slot, 0, by=news.actor)
        case e.Resolution.DONE:
            outcome = e.AttemptSucceeded(slot=slot, attempt=0, result=news.result)
            took_effect(draft, slot, outcome, by=news.actor)
        case _:
            raise NotAllowed("say what became of the step: done (with its result) or never")


def _dismiss(draft: Draft, found: DeadLetter) -> None:
    if draft.state.status is SagaStatus.FAILED:
        draft.unpark(found)
        advance(draft)
    else:
        draft.record(e.LetterDismissed(letter=found))


def _settle_never(draft: Draft, slot: Slot, step: StepState, found: DeadLetter, news: e.OperatorAsked) -> None:
    """An action without effect is a failure; behind the pivot, and for a compensation, there is only another run."""
    draft.unpark(found)
    if found.direction is Direction.COMPENSATION or pivot_passed(draft):
        _open_generation(draft, slot, step)
        advance(draft)
        return
    never = Failure(type="saga_celery.OutcomeUnknown", message=news.reason, step=found.step)
    action_failed_for_good(draft, slot, step.action.failure or never)
