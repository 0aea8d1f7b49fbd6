"""What must hold: after each transition, and when a world has come to rest.

The names I2, I5 … are those of the project's list of invariants, which docs/lifecycle.md repeats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from saga_celery.core import events as e
from saga_celery.core.evolve import evolve
from saga_celery.core.plan import Plan, StepKind
from saga_celery.core.states import (
    NEXT_MOVES,
    Direction,
    Reason,
    SagaState,
    SagaStatus,
    Slot,
    StepState,
    StepStatus,
    TurnKind,
    step_label,
)
from saga_celery.engine.correspondence import child_id
from saga_celery.engine.ports import INBOX_ITEM, NUDGE_SLOT, Awaited, Change, inbox_slot
from tests.simulation.ledger import Effect, Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.shapes import SagaShape, StepShape
    from tests.simulation.world import World

S = StepStatus
PARKED = (S.EXHAUSTED, S.IN_DOUBT, S.COMPENSATION_EXHAUSTED, S.COMPENSATION_IN_DOUBT)
OUT = {S.DISPATCHED: Direction.ACTION, S.COMPENSATING: Direction.COMPENSATION}
RESTS = {S.BACKING_OFF: Direction.ACTION, S.COMPENSATION_BACKING_OFF: Direction.COMPENSATION}
UNDOING = (S.COMPENSATION_SCHEDULED, S.COMPENSATING, S.COMPENSATION_BACKING_OFF, *PARKED[2:])


def demand(truth: bool, broken: str, *args: object) -> None:
    if not truth:
        raise Violation(broken % args)


# -------------------------------------------------------------------------------------------------- after a transition


def check_transition(world: World, change: Change, after: SagaState) -> None:
    """Nothing waits without an end, nothing new begins on the way back, nothing is undone before its turn."""
    demand(bool(change.facts), "I12: version %s has no facts", after.version)
    _check_ends(change, after)
    plan = world.store.plans[after.plan_hash]
    backward = change.before.status is SagaStatus.COMPENSATING
    for fact in change.facts:
        if isinstance(fact, e.SagaCompensating):
            backward = True
        demand(
            not (backward and isinstance(fact, e.StepScheduled | e.StepDispatched)),
            "I9: %s while the saga is being undone",
            fact,
        )
        if isinstance(fact, e.CompensationDispatched) and fact.attempt == fact.slot.generation == 1:
            _check_turn(plan, after, fact.slot)
    _check_awaited(world, after)


def _check_ends(change: Change, after: SagaState) -> None:
    """What has ended is left on a person's word only, and then as the page for operators says."""
    before = change.before.status
    if before is SagaStatus.COMPLETED and after.status is not before:
        asked = [fact.verb for fact in change.facts if isinstance(fact, e.OperatorActed)]
        turned = [fact for fact in change.facts if isinstance(fact, e.SagaTurned)]
        by_parent = after.parent is not None and [fact.turn.kind for fact in turned] == [TurnKind.REQUEST]
        demand(by_parent or asked == [e.Verb.COMPENSATE], "I3: %s became %s", before, after.status)
    if before is SagaStatus.COMPENSATED and after.status is not before:
        demand(any(isinstance(fact, e.SagaRerun) for fact in change.facts), "I3: %s became %s", before, after.status)
    if change.before.suspended and after.suspended:
        sends = (e.StepDispatched, e.CompensationDispatched, e.ProbeDispatched, e.SagaCompensating, e.StepSkipped)
        sent = [fact for fact in change.facts if isinstance(fact, sends)]
        demand(not sent or before is SagaStatus.FAILED, "a suspended saga moved on: %s", sent)


def _check_turn(plan: Plan, state: SagaState, slot: Slot) -> None:
    """A compensation starts when all that came after its step is undone."""
    for other in state.steps.values():
        if other.name in plan.followers[slot.step] and other.items is None:
            owed = other.status in (S.SUCCEEDED, S.GIVEN_UP) and plan.by_name[other.name].compensable
            waits = owed or other.status in UNDOING
            demand(not waits, "I5: %s is undone before %s", slot.step, other.name)


def _check_awaited(world: World, state: SagaState) -> None:
    """I13: whatever is open has a row that brings somebody back to it, or a letter that tells a person."""
    if state.status in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED):
        left = [row for row in world.store.rows_of(state.id) if row.due.slot.item != INBOX_ITEM]
        demand(not left, "I13: %s awaits %s", state.status, left)
        return
    nudge = world.store.row(state.id, NUDGE_SLOT) is not None
    excused = nudge or state.suspended or state.status is SagaStatus.FAILED
    demand(state.status is not SagaStatus.FAILED or bool(state.letters), "I2: FAILED without a letter")
    _check_limits(state)
    moving = [_step_moves(world, state, step, excused=excused) for step in state.steps.values()]
    demand(excused or any(moving), "I13: nothing will happen to %s any more: %s", state.id, statuses(state))


def _check_limits(state: SagaState) -> None:
    """I19: no more items of a list are under way at once than may be."""
    for fan in state.steps.values():
        limit = fan.action.policy.limit
        if fan.items is None or limit is None:
            continue
        items = [step for step in state.steps.values() if step.name == fan.name and step.item]
        busy = sum(step.status in (*OUT, *RESTS, S.PROBING) for step in items)
        demand(busy <= limit, "I19: %s items of %s are under way, %s may be", busy, fan.name, limit)


def _step_moves(world: World, state: SagaState, step: StepState, *, excused: bool) -> bool:
    """Whether something is awaited from a step; raises when something should be and is not."""
    if step.status in (S.AWAITING, S.COMPENSATING) and _kind(world, state, step) is StepKind.CHILD:
        return _child_answers(world, state, step)
    if step.status is S.AWAITING:
        return _has_row(world, state, step, Direction.ACTION, Awaited.REST)
    if step.status in OUT:
        return _has_row(world, state, step, OUT[step.status], Awaited.START, Awaited.END)
    if step.status in RESTS:
        return _has_row(world, state, step, RESTS[step.status], Awaited.REST)
    if step.status is S.PROBING and step.probe is not None:
        return _has_row(world, state, step, Direction.PROBE, *Awaited)
    if step.status in (S.PROBING, S.SCHEDULED, S.COMPENSATION_SCHEDULED):
        demand(excused, "I13: nobody renders %s, which is %s", step.name, step.status)
    if step.status in PARKED:
        direction = Direction.COMPENSATION if step.status in UNDOING else Direction.ACTION
        found = state.letter_for(step.name, step.item, direction)
        demand(found is not None, "I13: %s is %s without a letter", step.name, step.status)
    return False


def _kind(world: World, state: SagaState, step: StepState) -> StepKind:
    return world.store.plans[state.plan_hash].by_name[step.name].kind


def _child(world: World, state: SagaState, step: StepState) -> SagaState | None:
    return world.store.sagas.get(child_id(state.id, step.slot(Direction.ACTION)))


def _child_answers(world: World, state: SagaState, step: StepState) -> bool:
    """The child is there, and has yet to end, or news of it or for it are on their way, with a nudge for each."""
    child = _child(world, state, step)
    demand(child is not None, "I13: %s of %s has no child", step.name, state.id)
    assert child is not None
    news = [*world.store.inbox(state.id), *world.store.inbox(child.id)]
    for each in news:
        demand(world.store.row(each.saga_id, inbox_slot(each.id)) is not None, "I13: nobody looks at %s", each)
    done = child.status in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED)
    demand(not done or bool(news), "I13: %s waits for %s, which is %s", state.id, child.id, child.status)
    return True


def held_by_child(world: World, state: SagaState) -> bool:
    """Whether a saga waits for nothing but children that wait for a person, or for children of such."""
    waiting = [step for step in state.steps.values() if step.status in (S.AWAITING, S.COMPENSATING)]
    children = [_child(world, state, step) for step in waiting if _kind(world, state, step) is StepKind.CHILD]
    held = [
        child is not None and (child.status is SagaStatus.FAILED or held_by_child(world, child)) for child in children
    ]
    return bool(waiting) and len(held) == len(waiting) and all(held)


def _has_row(world: World, state: SagaState, step: StepState, direction: Direction, *awaited: Awaited) -> bool:
    slot = step.slot(direction)
    row = world.store.row(state.id, slot)
    demand(row is not None and row.due.awaited in awaited, "I13: %s is %s and awaits %s", step.name, step.status, row)
    return True


def statuses(state: SagaState) -> dict[str, str]:
    return {step_label(step.name, step.item): step.status.value for step in state.steps.values()}


# ------------------------------------------------------------------------------------------------------------- at rest


def check_end(world: World, state: SagaState) -> None:
    """Judge a saga by the participants' books."""
    _check_history(world, state)
    match state.status:
        case SagaStatus.COMPLETED:
            _check_completed(world, state)
        case SagaStatus.COMPENSATED:
            _check_compensated(world, state)
            _check_order(world, state)
        case SagaStatus.FAILED:
            demand(bool(state.letters), "I2: FAILED without a letter")
        case _:
            raise Violation(f"I2: {state.id} is {state.status}")
    for letter in state.letters:
        demand(bool(NEXT_MOVES[letter.reason]), "I2: a letter without a next move: %s", letter)


def _check_history(world: World, state: SagaState) -> None:
    folded = SagaState(
        id=state.id,
        name=state.name,
        plan_hash=state.plan_hash,
        input=state.input,
        headers=state.headers,
        parent=state.parent,
    )
    versions = []
    for version, facts in world.store.history[state.id]:
        versions.append(version)
        for fact in facts:
            folded = evolve(folded, fact)
            world.seen[type(fact).__name__] += 1
            if isinstance(fact, e.OperatorActed):
                demand(bool(fact.actor and fact.reason), "I12: a verb without actor or reason")
    demand(versions == list(range(1, state.version + 1)), "I12: versions %s, row %s", versions, state.version)
    fields = ("status", "steps", "letters", "turn", "result", "parked_from", "overdue", "suspended", "mail")
    for name in fields:
        told, kept = getattr(folded, name), getattr(state, name)
        demand(told == kept, "I12: history says %s=%s, the row says %s", name, told, kept)


def _check_completed(world: World, state: SagaState) -> None:
    shapes = world.shape_of(state.id).steps
    for name in shapes:
        demand(state.step(name) is not None, "I4: %s never began in a completed saga", name)
    for step in state.steps.values():
        name = step_label(step.name, step.item)
        if shapes[step.name].kind is not StepKind.TASK:
            _check_waited(world, state, step)
            continue
        if step.items is not None:
            _check_list(state, step)
            continue
        effects = list(world.ledger.of(state.id, name))
        if (state.id, name) in world.excused:
            continue
        if step.status is S.SKIPPED:
            demand(not effects, "I4: %s was skipped and took effect", name)
            continue
        _check_older(world, state, [effect for effect in effects if effect.generation != step.action.generation])
        effects = [effect for effect in effects if effect.generation == step.action.generation]
        demand(len(effects) == 1, "I4: %s took effect %s times", name, len(effects))
        demand(not effects[0].undone, "I4: %s was undone in a completed saga", name)
        if not any(isinstance(found, e.AttemptEnded) for found in _facts(world, state)):
            demand(step.result == effects[0].id, "I15: %s stored %s, did %s", name, step.result, effects[0].id)


def _check_waited(world: World, state: SagaState, step: StepState) -> None:
    """A wait ended with an event that was sent, a child with its completion."""
    kind = _kind(world, state, step)
    demand(step.status in (S.SUCCEEDED, S.SKIPPED), "I4: %s is %s in a completed saga", step.name, step.status)
    if step.status is S.SKIPPED:
        return
    world.seen[f"{kind} done"] += 1
    if kind is StepKind.WAIT:
        sent = world.sent.get((state.id, step.name), set())
        demand(step.result in sent, "I15: %s was answered by %s, sent were %s", step.name, step.result, sent)
    if kind is StepKind.CHILD:
        child = _child(world, state, step)
        demand(child is not None and child.status is SagaStatus.COMPLETED, "I4: %s: the child is %s", step.name, child)
        assert child is not None
        demand(step.result == child.result, "I15: %s stored %s of %s", step.name, step.result, child)


def _check_undone_whole(world: World, state: SagaState, step: StepState) -> None:
    """What a child did is undone with its parent, in whatever way it had ended before."""
    child = _child(world, state, step)
    if child is not None and step.status is not S.COMPENSATION_SKIPPED:
        status = child.status
        demand(
            status is SagaStatus.COMPENSATED, "I5: %s is compensated, its child %s is %s", state.id, child.id, status
        )
        world.seen["child undone"] += 1


def _check_list(state: SagaState, fan: StepState) -> None:
    """A list is complete, and so is its result."""
    items = [step for step in state.steps.values() if step.name == fan.name and step.item]
    demand(fan.status is S.SUCCEEDED, "I4: %s is %s in a completed saga", fan.name, fan.status)
    demand([step.item for step in items] == list(range(1, (fan.items or 0) + 1)), "I4: %s lacks items", fan.name)
    demand(fan.result == [step.result for step in items], "I15: %s stored %s", fan.name, fan.result)


def _places(shape: SagaShape) -> Iterator[tuple[str, int, StepShape]]:
    for name, step in shape.steps.items():
        for item in (0,) if step.items is None else range(1, step.items + 1):
            yield name, item, step


def _check_older(world: World, state: SagaState, effects: list[Effect]) -> None:
    """What a step did before it was run again is undone, or told."""
    for effect in effects:
        shape = world.shape_of(state.id).steps[effect.step.partition("[")[0]]
        kept = shape.void or effect.undone or _spoken_of(world, state, effect)
        demand(kept or _beyond_reach(world, state, effect), "I4: %s stands beside what came after it", effect)


def _check_compensated(world: World, state: SagaState) -> None:
    waiting = [step.name for step in state.steps.values() if step.status in (S.SCHEDULED, S.QUEUED, S.FANNED_OUT)]
    demand(not waiting, "I3: %s still wait in a saga that has ended", waiting)
    for step_name, item, shape in _places(world.shape_of(state.id)):
        name = step_label(step_name, item)
        step = state.step(step_name, item)
        if shape.kind is StepKind.CHILD and step is not None and shape.planned.compensable:
            _check_undone_whole(world, state, step)
        if shape.kind is not StepKind.TASK:
            continue
        for effect in world.ledger.standing(state.id, name):
            if not (shape.planned.compensable or shape.planned.pivot) or shape.void:
                continue  # its author said that there is nothing to undo
            demand(step is not None, "I5: %s took effect and was never scheduled", name)
            if _spoken_of(world, state, effect):
                continue
            if _beyond_reach(world, state, effect):
                world.seen["effect beyond reach"] += 1
                continue
            raise Violation(f"I5: {effect} stands, though {state.id} is compensated: {statuses(state)}")


def _spoken_of(world: World, state: SagaState, effect: Effect) -> bool:
    """A dead letter names it: it came too late to be undone by the saga."""
    return any(
        step_label(letter.step, letter.item) == effect.step and letter.reason is Reason.LATE_EFFECT
        for letter in state.letters
    )


def _beyond_reach(world: World, state: SagaState, effect: Effect) -> bool:
    """The one thing that no coordinator can know of, and that only a barrier prevents.

    Nobody lived to report the effect, and the saga had no reason to ask: when it happened nobody waited for the
    action any more, or another copy of the very same message answered for it.
    """
    if effect.told:
        return False
    slots = [(slot, attempt) for (saga, slot, attempt) in world.ledger.runs if saga == state.id]
    copies = sum(
        world.ledger.runs[(state.id, slot, attempt)]
        for slot, attempt in slots
        if (step_label(slot.step, slot.item), slot.direction, attempt)
        == (effect.step, Direction.ACTION, effect.attempt)
    )
    return not effect.awaited or copies > 1


def _check_order(world: World, state: SagaState) -> None:
    """Strictly backward, unless something became known too late for that."""
    facts = _facts(world, state)
    if any(isinstance(found, e.SagaRerun) or (isinstance(found, e.StepSucceeded) and found.late) for found in facts):
        return
    plan = world.store.plans[state.plan_hash]
    undone = [effect.step.partition("[")[0] for effect in world.ledger.undone if effect.saga == state.id]
    for position, name in enumerate(undone):
        for later in undone[position + 1 :]:
            demand(later not in plan.followers[name], "I5: %s was undone before %s", name, later)


def _facts(world: World, state: SagaState) -> list[e.Fact]:
    return [fact for _, facts in world.store.history[state.id] for fact in facts]
