"""What became of an attempt: it started, succeeded, failed, or ended without an outcome."""

from __future__ import annotations

from typing import assert_never

from saga_celery.core import events as e
from saga_celery.core.awaiting import await_event, waits
from saga_celery.core.commands import Rest, Send, Settle, Watch
from saga_celery.core.copies import replace
from saga_celery.core.draft import Draft, letter
from saga_celery.core.lifecycle import GIVEN_UP, OPEN_ACTION, OPEN_COMPENSATION, PARKED_ACTION, PARKED_COMPENSATION
from saga_celery.core.progress import (
    advance,
    dispatch_compensation,
    owes_compensation,
    pivot_passed,
    rest_until_resumed,
    turn,
)
from saga_celery.core.retry import FREE_RESTS
from saga_celery.core.states import (
    Activity,
    Direction,
    Failure,
    Reason,
    SagaState,
    SagaStatus,
    Slot,
    StepState,
    StepStatus,
    Turn,
    TurnKind,
)

OUT = {
    Direction.ACTION: StepStatus.DISPATCHED,
    Direction.COMPENSATION: StepStatus.COMPENSATING,
    Direction.PROBE: StepStatus.PROBING,
}
"""The status of a step while an attempt of the activity is out."""
NEVER = Failure(type="saga_celery.Never", message="the probe found no effect")
UNKNOWN = Failure(type="saga_celery.Unknown", message="the probe could not tell")


# ------------------------------------------------------------------------------------------------------------- started


def started(draft: Draft, news: e.AttemptStarted) -> None:
    """Grant an attempt to a worker, once; a second copy takes over only from a dead one."""
    step = draft.step(news.slot)
    if not _current(step, news.slot, news.attempt) or step is None:
        return
    activity = step.activity(news.slot.direction)
    if activity.worker and news.rival_alive:
        return
    if news.own_retry or not activity.worker:
        _claim(draft, news, news.attempt, activity)
    elif _may_take_over(draft, activity):
        _claim(draft, news, news.attempt + 1, activity)
    else:
        lost(draft, e.AttemptLost(slot=news.slot, attempt=news.attempt, reason=f"worker {activity.worker} died"))


def _may_take_over(draft: Draft, activity: Activity) -> bool:
    """A new attempt, though nobody sends it: a suspended saga has none."""
    again = activity.policy.resend and activity.policy.retry.allows_another(activity.tries)
    return again and not draft.state.suspended


def _claim(draft: Draft, news: e.AttemptStarted, attempt: int, activity: Activity) -> None:
    epoch = activity.epoch + 1
    draft.record(e.AttemptClaimed(slot=news.slot, attempt=attempt, epoch=epoch, worker=news.worker))
    draft.command(Watch(slot=news.slot, attempt=attempt, epoch=epoch, worker=news.worker))


def _current(step: StepState | None, slot: Slot, attempt: int) -> bool:
    """Tell whether news are about the attempt that is out now."""
    if step is None or step.status is not OUT[slot.direction]:
        return False
    activity = step.activity(slot.direction)
    return (activity.generation, activity.attempt) == (slot.generation, attempt)


# ----------------------------------------------------------------------------------------------------------- succeeded


def succeeded(draft: Draft, news: e.AttemptSucceeded) -> None:
    """An effect is evidence, however late it is reported."""
    step = draft.step(news.slot)
    if step is None:
        return
    if news.slot.direction is Direction.ACTION:
        _action_succeeded(draft, news, step)
    else:
        _compensation_succeeded(draft, news, step)


def _action_succeeded(draft: Draft, news: e.AttemptSucceeded, step: StepState) -> None:
    if news.slot.generation != step.action.generation:
        _older_generation(draft, step, news)
    elif step.status in (*OPEN_ACTION, *PARKED_ACTION):
        took_effect(draft, news.slot, news, late=news.attempt != step.action.attempt)
    elif step.status in GIVEN_UP and waits(draft, step.name):
        _note(draft, news.slot, news.attempt, "whoever was to answer the wait was asked late")
    elif step.status in GIVEN_UP and never_succeeded(step):
        _late_effect(draft, news, step)
    elif _is_another(step.action, news.attempt):
        draft.record(e.EffectRepeated(slot=news.slot, attempt=news.attempt, result=news.result))
        _too_late(draft, step, news, "it took effect once more than the saga knows how to undo")


def took_effect(draft: Draft, slot: Slot, news: e.AttemptSucceeded, *, late: bool = False, by: str = "worker") -> None:
    """An open action took effect; where it was to ask for an event, the wait for that event begins."""
    if waits(draft, slot.step):
        unpark(draft, slot)
        await_event(draft, slot)
    else:
        settle_success(draft, slot, news, late=late, by=by)


def settle_success(draft: Draft, slot: Slot, news: e.AttemptSucceeded, *, late: bool, by: str = "worker") -> None:
    """Record that an open action took effect and move on."""
    draft.record(e.StepSucceeded(slot=slot, attempt=news.attempt, result=news.result, late=late, by=by, ran=news.ran))
    for direction in Direction:
        draft.command(Settle(slot=slot._replace(direction=direction)))
    unpark(draft, slot)
    unpark(draft, slot._replace(direction=Direction.PROBE))
    step = draft.state.steps[(slot.step, slot.item)]
    if owes_compensation(draft, step):
        draft.render(step.slot(Direction.COMPENSATION))
    advance(draft)


def _is_another(action: Activity, attempt: int) -> bool:
    """Tell a second effect from the doubled report of the first; what a probe or a person said may be any attempt's."""
    return not action.policy.resend and bool(action.heard) and attempt not in action.heard


def _too_late(draft: Draft, step: StepState, news: e.AttemptSucceeded | e.AttemptFailed, detail: str) -> None:
    """Nothing in the saga can undo this effect any more, so a person has to."""
    attempt = 0 if step.action.policy.resend else news.attempt
    result = news.result if isinstance(news, e.AttemptSucceeded) else None
    found = replace(letter(news.slot, Reason.LATE_EFFECT, detail), attempt=attempt, result=result)
    if draft.state.status not in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED):
        draft.park(found)
    elif not draft.state.has_letter(found):
        draft.record(e.EffectAfterEnd(letter=found))


def never_succeeded(step: StepState) -> bool:
    """Tell a late effect from the doubled report of one that is known: the known one rendered its compensation."""
    compensation = step.compensation
    return step.action.lost or step.action.failure is not None or compensation is None


def _late_effect(draft: Draft, news: e.AttemptSucceeded, step: StepState) -> None:
    match draft.state.status:
        case SagaStatus.COMPENSATED:
            _too_late(draft, step, news, "")
        case SagaStatus.COMPLETED:
            _note(draft, news.slot, news.attempt, "a step that was skipped took effect")
        case _ if draft.plan.by_name[news.slot.step].pivot and _goes_backward(draft.state):
            draft.record(
                e.StepSucceeded(slot=news.slot, attempt=news.attempt, result=news.result, late=True, ran=news.ran)
            )
            _too_late(draft, step, news, "the pivot took effect after the saga had turned round")
        case _:
            draft.command(Settle(slot=news.slot._replace(direction=Direction.COMPENSATION)))
            unpark(draft, news.slot._replace(direction=Direction.COMPENSATION))
            settle_success(draft, news.slot, news, late=True)


def _older_generation(draft: Draft, step: StepState, news: e.AttemptSucceeded | e.AttemptFailed) -> None:
    """An effect that nobody knew of when its step was opened again."""
    _note(draft, news.slot, news.attempt, "an older generation succeeded")
    if news.slot.generation in step.action.unheard:
        _too_late(draft, step, news, "an earlier generation of it took effect")


def _goes_backward(state: SagaState) -> bool:
    return SagaStatus.COMPENSATING in (state.status, state.parked_from)


def _compensation_succeeded(draft: Draft, news: e.AttemptSucceeded, step: StepState) -> None:
    if step.slot(Direction.COMPENSATION) != news.slot:
        _note(draft, news.slot, news.attempt, "an older generation succeeded")
    elif step.status in (*OPEN_COMPENSATION, *PARKED_COMPENSATION):
        settle_compensation(draft, news.slot, news.attempt, ran=news.ran)


def settle_compensation(draft: Draft, slot: Slot, attempt: int, by: str = "worker", ran: float | None = None) -> None:
    """Record that an effect is undone and move on."""
    draft.record(e.StepCompensated(slot=slot, attempt=attempt, by=by, ran=ran))
    draft.command(Settle(slot=slot))
    unpark(draft, slot)
    advance(draft)


def unpark(draft: Draft, slot: Slot) -> None:
    """Take back the dead letter about an activity, if there is one."""
    found = draft.state.letter_for(slot.step, slot.item, slot.direction)
    if found is not None and draft.state.status is SagaStatus.FAILED:
        draft.unpark(found)


def _note(draft: Draft, slot: Slot, attempt: int, note: str, failure: Failure | None = None) -> None:
    draft.record(e.NewsIgnored(slot=slot, attempt=attempt, note=note, failure=failure))


# -------------------------------------------------------------------------------------------------------------- failed


def failed(draft: Draft, news: e.AttemptFailed) -> None:
    """Retry while that may help; else turn round, or park where turning is no longer possible."""
    step = draft.step(news.slot)
    if step is None:
        return
    if news.took_effect and news.slot.direction is Direction.COMPENSATION:
        undone = e.AttemptSucceeded(slot=news.slot, attempt=news.attempt, ran=news.ran)
        _compensation_succeeded(draft, undone, step)
        return
    if not _current(step, news.slot, news.attempt):
        _late_failure(draft, news, step)
        return
    counted = not _rests_freely(step.activity(news.slot.direction), news)
    ended = e.AttemptEnded(slot=news.slot, attempt=news.attempt, failure=news.failure, counted=counted, ran=news.ran)
    draft.record(ended)
    activity = draft.state.steps[(step.name, step.item)].activity(news.slot.direction)
    match news.slot.direction:
        case Direction.ACTION if news.took_effect and waits(draft, step.name):
            took_effect(draft, news.slot, e.AttemptSucceeded(slot=news.slot, attempt=news.attempt))
        case Direction.ACTION if news.took_effect:
            _effect_without_result(draft, news)
        case Direction.ACTION if news.parks and draft.state.turn is None:
            _unreadable(draft, news, activity)
        case Direction.ACTION:
            _action_failed(draft, news, activity)
        case Direction.COMPENSATION:
            _compensation_failed(draft, news, activity)
        case Direction.PROBE:
            _probe_failed(draft, news.slot, activity, news.retry_after)
        case _ as never:
            assert_never(never)


def _rests_freely(activity: Activity, news: e.AttemptFailed) -> bool:
    """Tell whether an attempt that asked for it uses up none; the numbers tell how many did so before."""
    asked = news.retry_after is not None and not (news.counts or news.took_effect)
    fatal = is_fatal(replace(activity, failure=news.failure))
    return asked and not fatal and activity.attempt - activity.tries < FREE_RESTS


def _late_failure(draft: Draft, news: e.AttemptFailed, step: StepState) -> None:
    """Changes nothing, but an effect behind it must not go unseen when the saga has stopped reckoning with one."""
    if news.took_effect and news.slot.generation in step.action.unheard:
        _older_generation(draft, step, news)
        return
    _note(draft, news.slot, news.attempt, "a late failure", news.failure)
    completed = draft.state.status is SagaStatus.COMPLETED
    if news.took_effect and not completed and _escapes(draft, news, step):
        _too_late(draft, step, news, _sentence(news.failure))


def _escapes(draft: Draft, news: e.AttemptFailed, step: StepState) -> bool:
    """Tell whether an effect is news, and neither a compensation to come nor its author's word covers it."""
    planned = draft.plan.by_name[step.name]
    if news.slot != step.slot(Direction.ACTION) or not (planned.compensable or planned.pivot):
        return False
    if step.status is StepStatus.FAILED:
        return True
    known = step.action.failure == news.failure
    ahead = step.status in (StepStatus.GIVEN_UP, StepStatus.COMPENSATION_SCHEDULED)
    return step.status in GIVEN_UP and not ahead and not known and never_succeeded(step)


def is_fatal(activity: Activity) -> bool:
    """Tell whether what an activity ended with is a failure that no further attempt can mend."""
    failure = activity.failure
    return failure is not None and not set(activity.policy.fatal).isdisjoint({failure.type, *failure.types})


def _action_failed(draft: Draft, news: e.AttemptFailed, activity: Activity) -> None:
    fatal = is_fatal(activity)
    may_retry = not fatal and activity.policy.retry.allows_another(activity.tries)
    if may_retry and (draft.state.turn is None or activity.lost):
        _rest(draft, news.slot, activity, news.retry_after)
    elif pivot_passed(draft):
        exhausted(draft, news.slot, news.failure)
    elif not fatal and activity.lost:
        unknown_for_good(draft, news.slot, news.failure)
    elif not fatal and _undone_blindly(draft, news.slot):
        _give_up(draft, news.slot, news.failure)
    else:
        action_failed_for_good(draft, news.slot, news.failure)


def _rest(draft: Draft, slot: Slot, activity: Activity, seconds: float | None = None) -> None:
    undoing = slot.direction is Direction.COMPENSATION
    draft.record(e.CompensationRetryScheduled(slot=slot) if undoing else e.RetryScheduled(slot=slot))
    draft.command(
        Rest(slot=slot, attempt=activity.attempt, tries=activity.tries, retry=activity.policy.retry, seconds=seconds)
    )


def exhausted(draft: Draft, slot: Slot, failure: Failure) -> None:
    """Park an action behind the pivot that can not go on by itself."""
    draft.record(e.StepExhausted(slot=slot))
    draft.command(Settle(slot=slot))
    draft.park(letter(slot, Reason.EXHAUSTED, _sentence(failure)))


def action_failed_for_good(draft: Draft, slot: Slot, failure: Failure) -> None:
    """The action took no effect and never will."""
    draft.record(e.StepFailed(slot=slot, failure=failure))
    _turn_because(draft, slot, failure)


def _turn_because(draft: Draft, slot: Slot, failure: Failure) -> None:
    for direction in (Direction.ACTION, Direction.PROBE):
        draft.command(Settle(slot=slot._replace(direction=direction)))
    turn(draft, Turn(kind=TurnKind.FAILURE, reason=_sentence(failure), step=slot.step, item=slot.item, failure=failure))
    advance(draft)


def _effect_without_result(draft: Draft, news: e.AttemptFailed) -> None:
    """The action took effect, but what it returned can not be stored: only a compensation without it can undo it."""
    planned = draft.plan.by_name[news.slot.step]
    policy = draft.state.steps[(news.slot.step, news.slot.item)].action.policy
    if planned.pivot or pivot_passed(draft):
        in_doubt(draft, news.slot, _sentence(news.failure))
    elif not planned.compensable or policy.null_safe or not policy.needs_result:
        _give_up(draft, news.slot, news.failure)
    else:
        in_doubt(draft, news.slot, _sentence(news.failure))


def _give_up(draft: Draft, slot: Slot, failure: Failure) -> None:
    draft.record(e.StepGivenUp(slot=slot, failure=failure))
    _turn_because(draft, slot, failure)


def _unreadable(draft: Draft, news: e.AttemptFailed, activity: Activity) -> None:
    """A person puts right what can not be read, and then the same message is sent again."""
    if activity.lost:
        in_doubt(draft, news.slot, _sentence(news.failure))
    else:
        exhausted(draft, news.slot, news.failure)


def _compensation_failed(draft: Draft, news: e.AttemptFailed, activity: Activity) -> None:
    if not (news.parks or is_fatal(activity)) and activity.policy.retry.allows_another(activity.tries):
        _rest(draft, news.slot, activity, news.retry_after)
        return
    draft.record(e.CompensationExhausted(slot=news.slot))
    draft.command(Settle(slot=news.slot))
    draft.park(letter(news.slot, Reason.COMPENSATION_EXHAUSTED, _sentence(news.failure)))


def _sentence(failure: Failure) -> str:
    return f"{failure.type}: {failure.message}" if failure.message else failure.type


# ---------------------------------------------------------------------------------------------------------------- lost


def lost(draft: Draft, news: e.AttemptLost) -> None:
    """The outcome is unknown: ask, else repeat, else undo without a result, else park in doubt."""
    step = draft.step(news.slot)
    if not _current(step, news.slot, news.attempt) or step is None:
        return
    failure = Failure(type="saga_celery.OutcomeUnknown", message=news.reason, step=step.name)
    draft.record(e.AttemptEnded(slot=news.slot, attempt=news.attempt, failure=failure, lost=True))
    activity = step.activity(news.slot.direction)
    match news.slot.direction:
        case Direction.ACTION:
            _action_lost(draft, news.slot, activity, failure)
        case Direction.COMPENSATION:
            _compensation_lost(draft, news, activity)
        case Direction.PROBE:
            _probe_failed(draft, news.slot, replace(activity, failure=failure))
        case _ as never:
            assert_never(never)


def _action_lost(draft: Draft, slot: Slot, activity: Activity, failure: Failure) -> None:
    if activity.policy.probe:
        _ask_probe(draft, slot)
    elif activity.policy.resend and activity.policy.retry.allows_another(activity.tries):
        _rest(draft, slot, activity)
    else:
        unknown_for_good(draft, slot, failure)


def unknown_for_good(draft: Draft, slot: Slot, failure: Failure) -> None:
    """It can be neither asked nor repeated."""
    if _undone_blindly(draft, slot):
        _give_up(draft, slot, failure)
    else:
        in_doubt(draft, slot, _sentence(failure))


def _undone_blindly(draft: Draft, slot: Slot) -> bool:
    """Tell whether the compensation may run without knowing that there is something to undo."""
    planned = draft.plan.by_name[slot.step]
    policy = draft.state.steps[(slot.step, slot.item)].action.policy
    return policy.null_safe and planned.compensable and not planned.pivot and not pivot_passed(draft)


def in_doubt(draft: Draft, slot: Slot, detail: str) -> None:
    """Park an action of which nobody knows whether it took effect."""
    draft.record(e.StepInDoubt(slot=slot))
    for direction in (Direction.ACTION, Direction.PROBE):
        draft.command(Settle(slot=slot._replace(direction=direction)))
    draft.park(letter(slot, Reason.IN_DOUBT, detail))


def _compensation_lost(draft: Draft, news: e.AttemptLost, activity: Activity) -> None:
    if not activity.policy.resend:
        draft.record(e.CompensationInDoubt(slot=news.slot))
        draft.command(Settle(slot=news.slot))
        draft.park(letter(news.slot, Reason.IN_DOUBT, news.reason))
    elif activity.policy.retry.allows_another(activity.tries):
        _rest(draft, news.slot, activity)
    else:
        draft.record(e.CompensationExhausted(slot=news.slot))
        draft.command(Settle(slot=news.slot))
        draft.park(letter(news.slot, Reason.COMPENSATION_EXHAUSTED, news.reason))


# --------------------------------------------------------------------------------------------------------------- probe


def _ask_probe(draft: Draft, slot: Slot) -> None:
    step = draft.state.steps[(slot.step, slot.item)]
    probe = step.slot(Direction.PROBE)
    draft.record(e.ProbeScheduled(slot=probe))
    draft.command(Settle(slot=slot))
    if step.activity(Direction.PROBE).message is None:
        draft.render(probe)
    else:
        draft.command(Rest(slot=probe, attempt=0, seconds=step.action.policy.settle_delay))


def _probe_failed(draft: Draft, slot: Slot, activity: Activity, seconds: float | None = None) -> None:
    retry = activity.policy.retry
    if retry.allows_another(activity.tries):
        draft.command(Rest(slot=slot, attempt=activity.attempt, tries=activity.tries, retry=retry, seconds=seconds))
    else:
        last = [_sentence(activity.failure)] if activity.failure else []
        in_doubt(draft, slot._replace(direction=Direction.ACTION), ": ".join(["the probe found no answer", *last]))


def probe_answered(draft: Draft, news: e.ProbeAnswered) -> None:
    """Adopt what was found; where there never was an effect, repeat or turn round; else ask again."""
    step = draft.step(news.slot)
    if not _current(step, news.slot, news.attempt) or step is None:
        return
    action = step.slot(Direction.ACTION)
    match news.verdict:
        case e.Verdict.FOUND:
            found = e.AttemptSucceeded(slot=action, attempt=step.action.attempt, result=news.result)
            settle_success(draft, action, found, late=False, by="probe")
        case e.Verdict.NEVER if _denied_before(step):
            _never(draft, action, news.attempt)
        case e.Verdict.NEVER:
            _probe_without_answer(draft, news, NEVER)
            draft.command(Rest(slot=news.slot, attempt=news.attempt, seconds=step.action.policy.settle_delay))
        case e.Verdict.UNKNOWN:
            _probe_without_answer(draft, news, UNKNOWN)
            _probe_failed(draft, news.slot, replace(step.activity(Direction.PROBE), failure=UNKNOWN))
        case _ as never:
            assert_never(never)


def _probe_without_answer(draft: Draft, news: e.ProbeAnswered, failure: Failure) -> None:
    draft.record(e.AttemptEnded(slot=news.slot, attempt=news.attempt, failure=failure))


def _denied_before(step: StepState) -> bool:
    """A first "never" may have come too early, while the effect was still on its way: it is asked for twice."""
    return step.probe is not None and step.probe.failure == NEVER


def _never(draft: Draft, slot: Slot, attempt: int) -> None:
    draft.record(e.EffectRuledOut(slot=slot, attempt=attempt))
    draft.command(Settle(slot=slot._replace(direction=Direction.PROBE)))
    step = draft.state.steps[(slot.step, slot.item)]
    if step.action.policy.retry.allows_another(step.action.tries) and draft.state.turn is None:
        _rest(draft, slot, step.action)
    elif pivot_passed(draft):
        exhausted(draft, slot, step.action.failure or Failure(type="saga_celery.OutcomeUnknown"))
    else:
        action_failed_for_good(draft, slot, step.action.failure or Failure(type="saga_celery.OutcomeUnknown"))


# ---------------------------------------------------------------------------------------------------------------- rest


def rest_over(draft: Draft, news: e.RestOver) -> None:
    """The next attempt goes out."""
    step = draft.step(news.slot)
    if step is None or step.slot(news.slot.direction) != news.slot:
        return
    if news.slot.direction is Direction.ACTION and step.status is StepStatus.BACKING_OFF:
        dispatch_action(draft, news.slot)
    elif news.slot.direction is Direction.COMPENSATION and step.status is StepStatus.COMPENSATION_BACKING_OFF:
        dispatch_compensation(draft, news.slot)
    elif news.slot.direction is Direction.PROBE and step.status is StepStatus.PROBING and step.probe is not None:
        _dispatch_probe(draft, news.slot, step.probe)


def dispatch_action(draft: Draft, slot: Slot) -> None:
    """Send the next attempt of an action."""
    if draft.state.suspended:
        rest_until_resumed(draft, slot)
        return
    attempt = draft.state.steps[(slot.step, slot.item)].action.attempt + 1
    draft.record(e.StepDispatched(slot=slot, attempt=attempt))
    draft.command(Send(slot=slot, attempt=attempt))


def _dispatch_probe(draft: Draft, slot: Slot, probe: Activity) -> None:
    draft.record(e.ProbeDispatched(slot=slot, attempt=probe.attempt + 1))
    draft.command(Send(slot=slot, attempt=probe.attempt + 1))
