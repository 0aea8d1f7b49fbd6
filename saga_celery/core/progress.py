"""Moving on: forward through the graph, round when something went wrong, backward through what took effect."""

from __future__ import annotations

from collections.abc import Iterator

from saga_celery.core import events as e
from saga_celery.core import fan_out
from saga_celery.core.commands import Rest, Send, Settle, TurnChild
from saga_celery.core.draft import Draft, letter
from saga_celery.core.fan_out import TO_UNDO, UNDOING
from saga_celery.core.lifecycle import OPEN_ACTION
from saga_celery.core.moves import behind_pivot
from saga_celery.core.plan import PlannedStep, StepKind
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
    step_label,
)
from saga_celery.core.steps import OWING, marks

DONE = (StepStatus.SUCCEEDED, StepStatus.SKIPPED)
IN_FLIGHT = marks(*OPEN_ACTION)
NOT_BEGUN = (StepStatus.SCHEDULED, StepStatus.QUEUED, StepStatus.AWAITING)


def take_up(draft: Draft) -> None:
    """Begin, or end at once where the saga was told to turn round before it began; then do all that can be done."""
    if draft.state.suspended:
        return
    if draft.state.status is SagaStatus.PENDING:
        draft.record(e.SagaStarted() if draft.state.turn is None else e.SagaCompensated())
    advance(draft)


def advance(draft: Draft) -> None:
    """Do all that can be done now."""
    if draft.state.suspended:
        return
    _probe_again(draft)
    if draft.state.status is SagaStatus.RUNNING and draft.state.turn is None:
        _forward(draft)
    if draft.state.status is SagaStatus.RUNNING and draft.state.turn is not None:
        _turn_round(draft, draft.state.turn)
    if draft.state.status is SagaStatus.COMPENSATING:
        _backward(draft)


def _probe_again(draft: Draft) -> None:
    for step in draft.steps.units(marks(StepStatus.PROBING)):
        if step.probe is None:
            draft.render(step.slot(Direction.PROBE))


def turn(draft: Draft, cause: Turn) -> None:
    """Decide to go backward; what has not begun is called off at once, what is in flight is awaited."""
    if draft.state.turn is None:
        draft.record(e.SagaTurned(turn=cause))
        _turn_children(draft, cause)
    for step in draft.steps.units(marks(*NOT_BEGUN, StepStatus.BACKING_OFF)):
        _call_off(draft, step, cause)


def _turn_children(draft: Draft, cause: Turn) -> None:
    for step in running_children(draft):
        draft.to_child(TurnChild(slot=step.slot(Direction.ACTION), reason=cause.reason, undo=False))


def running_children(draft: Draft) -> list[StepState]:
    """The steps that wait for their child sagas, which have an outcome even when they are told to turn round."""
    return [step for step in draft.steps.units(marks(StepStatus.AWAITING)) if is_child(draft, step.name)]


def is_child(draft: Draft, name: str) -> bool:
    """Tell whether a step runs another saga."""
    return draft.plan.by_name[name].kind is StepKind.CHILD


def pivot_passed(draft: Draft) -> bool:
    """Tell whether the point of no return lies behind."""
    return behind_pivot(draft.plan, draft.state)


def _call_off(draft: Draft, step: StepState, cause: Turn) -> None:
    slot = step.slot(Direction.ACTION)
    if step.status in NOT_BEGUN and step not in running_children(draft):
        draft.record(e.StepCancelled(slot=slot))
        draft.command(Settle(slot=slot))
    elif step.status is StepStatus.BACKING_OFF and not step.action.lost:
        draft.record(
            e.StepFailed(slot=slot, failure=step.action.failure or Failure(type=cause.kind, message=cause.reason))
        )
        draft.command(Settle(slot=slot))


# ------------------------------------------------------------------------------------------------------------- forward


def _forward(draft: Draft) -> None:
    if any(_owed_compensations(draft)):
        return
    fan_out.go_on(draft)
    for planned in draft.plan.steps:
        if _ready(draft.state, planned):
            _schedule(draft, planned)
    for step in draft.steps.units(marks(StepStatus.SCHEDULED)):
        draft.render(step.slot(Direction.ACTION))
    if all(_is_done(draft.state, planned.name) for planned in reversed(draft.plan.steps)):
        draft.render_result()


def _owed_compensations(draft: Draft) -> Iterator[Slot]:
    """A success is only complete with the rendered compensation that would undo it."""
    for own in draft.steps.own():
        if draft.plan.by_name[own.name].compensable and not is_child(draft, own.name):
            for step in draft.steps.units(OWING, of=own.name):
                slot = step.slot(Direction.COMPENSATION)
                draft.render(slot)
                yield slot


def owes_compensation(draft: Draft, step: StepState) -> bool:
    """Tell whether the compensation of a success has yet to be rendered."""
    return draft.plan.by_name[step.name].compensable and not step.undo_is_rendered and not is_child(draft, step.name)


def _ready(state: SagaState, planned: PlannedStep) -> bool:
    step = state.step(planned.name)
    begun = step is not None and step.status is not StepStatus.REOPENED
    return not begun and all(_is_done(state, earlier) for earlier in planned.after)


def _schedule(draft: Draft, planned: PlannedStep) -> None:
    order = 1 + max((step.order for step in draft.steps.own()), default=0)
    step = draft.state.step(planned.name)
    slot = Slot(planned.name) if step is None else step.slot(Direction.ACTION)
    draft.record(e.StepScheduled(slot=slot, order=order))


def _is_done(state: SagaState, name: str) -> bool:
    step = state.step(name)
    return step is not None and step.status in DONE


# --------------------------------------------------------------------------------------------------------------- round


def _turn_round(draft: Draft, cause: Turn) -> None:
    if pivot_passed(draft):
        _drop_turn(draft, cause)
    elif not draft.steps.any(IN_FLIGHT) and not running_children(draft):
        draft.record(e.SagaCompensating())
        fan_out.give_up(draft, cause)


def _drop_turn(draft: Draft, dropped: Turn) -> None:
    """A cancel or a deadline that met a pivot in flight: the pivot took effect, so the saga goes forward."""
    draft.record(e.TurnDropped(turn=dropped))
    if dropped.kind is TurnKind.DEADLINE:
        draft.record(e.SagaOverdue())
    for step in list(draft.state.steps.values()):
        _revive(draft, step)
    if draft.state.status is SagaStatus.RUNNING:
        _forward(draft)


def _revive(draft: Draft, step: StepState) -> None:
    """Beside a pivot that took effect: what was called off gets its turn, what failed waits for a person."""
    slot = step.slot(Direction.ACTION)
    detail = step.action.failure.message if step.action.failure else ""
    if step.status is StepStatus.CANCELLED and step.item and step.action.message is not None:
        policy = step.action.policy
        draft.record(e.ItemQueued(slot=slot, order=step.order, message=step.action.message, policy=policy))
    elif step.status is StepStatus.CANCELLED:
        draft.record(e.StepScheduled(slot=slot, order=step.order))
    elif step.status is StepStatus.FAILED:
        draft.record(e.StepExhausted(slot=slot))
        draft.park(letter(slot, Reason.EXHAUSTED, detail))
    elif step.status is StepStatus.GIVEN_UP:
        draft.record(e.StepInDoubt(slot=slot))
        draft.park(letter(slot, Reason.IN_DOUBT, detail))


# ------------------------------------------------------------------------------------------------------------ backward


def _backward(draft: Draft) -> None:
    """Undo in reverse order of starts; what ran side by side is undone side by side."""
    while _undo_next(draft):
        pass
    fan_out.close(draft)
    if not any(_pending_undo(draft, step.name) for step in draft.steps.own()):
        draft.record(e.SagaCompensated(waived=tuple(_waived(draft))))


def _waived(draft: Draft) -> Iterator[str]:
    """What stands because a person said so, in the order of the steps."""
    for step in draft.steps.units(marks(StepStatus.COMPENSATION_SKIPPED)):
        if step.activity(Direction.COMPENSATION).waived_by:
            yield step_label(step.name, step.item)


def _undo_next(draft: Draft) -> bool:
    """Start every compensation whose turn has come; True when one of them needed no run, so that more may follow."""
    skipped = False
    for own in sorted(draft.steps.own(), key=lambda step: -step.order):
        if _waits_for_undo(draft, own.name) and not _followers_pending(draft, own.name):
            for step in fan_out.next_to_undo(draft, own):
                skipped |= _undo(draft, step)
    for step in draft.steps.units(marks(StepStatus.COMPENSATION_SCHEDULED)):
        draft.render(step.slot(Direction.COMPENSATION))
    return skipped


def _undo(draft: Draft, step: StepState) -> bool:
    slot = step.slot(Direction.COMPENSATION)
    if step.status is StepStatus.GIVEN_UP or owes_compensation(draft, step):
        draft.record(e.CompensationScheduled(slot=slot))
        return False
    if step.activity(Direction.COMPENSATION).void:
        draft.record(_skipped(slot, step.activity(Direction.COMPENSATION)))
        return True
    dispatch_compensation(draft, slot)
    return False


def _skipped(slot: Slot, compensation: Activity) -> e.CompensationSkipped:
    by = compensation.waived_by
    return e.CompensationSkipped(slot=slot, by=by, waived=True) if by else e.CompensationSkipped(slot=slot)


def dispatch_compensation(draft: Draft, slot: Slot) -> None:
    """Send the next attempt of a compensation; a child saga is told to undo itself."""
    if draft.state.suspended:
        rest_until_resumed(draft, slot)
        return
    step = draft.state.steps[(slot.step, slot.item)]
    attempt = step.activity(Direction.COMPENSATION).attempt + 1
    draft.record(e.CompensationDispatched(slot=slot, attempt=attempt))
    if is_child(draft, slot.step):
        reason = draft.state.turn.reason if draft.state.turn else ""
        draft.to_child(TurnChild(slot=step.slot(Direction.ACTION), reason=reason, undo=True))
    else:
        draft.command(Send(slot=slot, attempt=attempt))


def rest_until_resumed(draft: Draft, slot: Slot) -> None:
    """What an operator would send now, were the saga not suspended, is due as soon as it is resumed."""
    undoing = slot.direction is Direction.COMPENSATION
    draft.record(e.CompensationRetryScheduled(slot=slot) if undoing else e.RetryScheduled(slot=slot))
    attempt = draft.state.steps[(slot.step, slot.item)].activity(slot.direction).attempt
    draft.command(Rest(slot=slot, attempt=attempt, seconds=0.0))


def _waits_for_undo(draft: Draft, name: str) -> bool:
    return draft.plan.by_name[name].compensable and draft.steps.any(TO_UNDO, of=name)


def _pending_undo(draft: Draft, name: str) -> bool:
    return draft.steps.any(UNDOING, of=name) or _waits_for_undo(draft, name)


def _followers_pending(draft: Draft, name: str) -> bool:
    return any(_pending_undo(draft, follower) for follower in draft.plan.followers[name])
