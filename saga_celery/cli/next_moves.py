"""What happens next with a saga: what it waits for, until when, and what a person can do, as commands to paste."""

from __future__ import annotations

import shlex
from collections.abc import Container, Iterator
from datetime import datetime

from saga_celery.app.reading import words
from saga_celery.app.reading.case import Case
from saga_celery.app.reading.durations import spoken
from saga_celery.app.reading.excerpt import excerpt
from saga_celery.app.reading.family import Family
from saga_celery.app.reading.waiting import Waiting, waiting
from saga_celery.core.events import Verb
from saga_celery.core.moves import Move, next_moves
from saga_celery.core.plan import Plan, StepKind
from saga_celery.core.states import Activity, DeadLetter, Reason, SagaState, Slot, StepKey, step_label
from saga_celery.definition.commands import command
from saga_celery.engine.ports import INBOX_ITEM, Awaited
from saga_celery.store.queries import STUCK_AFTER
from saga_celery.store.views import OpenWait, Snapshot


def onward(case: Case, program: str) -> list[str]:
    """Sentences, the most urgent first."""
    found, plan, now = case.found, case.plan, case.now
    waits = waiting(found, plan)
    alarms = {(each.step, each.item) for each in waits}
    sentences = [
        *_letters(found, plan, program),
        *_suspension(found, program),
        *_children(found, case.family, program),
        *(_wait(case, wait, program) for wait in found.awaited if _tells(wait, alarms)),
        *(_answer(found, each, now, program) for each in waits),
        *_standstill(found, now, program),
    ]
    return sentences or [_nothing(found, program)]


def _tells(wait: OpenWait, alarms: Container[StepKey]) -> bool:
    """What waits for an event or a time speaks for itself, and the deadline stands in the head of the page."""
    is_alarm = wait.awaited is Awaited.REST and (wait.slot.step, wait.slot.item) in alarms
    return wait.awaited is not Awaited.DEADLINE and not is_alarm


def _letters(found: Snapshot, plan: Plan, program: str) -> Iterator[str]:
    for letter in found.state.letters:
        label = words.activity_label(Slot(letter.step, letter.item, letter.direction))
        moves = "\n   or: ".join(
            [*_answers(found, plan, letter, program), *commands(program, plan, found.state, letter)]
        )
        yield f"{label} waits for a person: {words.reason(letter)}\n  run: {moves}"


def _answers(found: Snapshot, plan: Plan, letter: DeadLetter, program: str) -> Iterator[str]:
    """A wait whose time ran out behind the pivot can still be answered."""
    planned = plan.by_name.get(letter.step)
    if planned is not None and planned.kind is StepKind.WAIT and letter.reason is Reason.EXHAUSTED:
        yield answer(program, found.saga.id, letter.step)


def _suspension(found: Snapshot, program: str) -> Iterator[str]:
    if found.state.suspended:
        resume = command(Move(Verb.RESUME), found.saga.id, step="")
        yield f"suspended: outcomes are recorded, nothing is sent until it is resumed\n  run: {program} {resume}"


def _children(found: Snapshot, family: Family, program: str) -> Iterator[str]:
    """A child that is parked keeps its parent waiting until a person settles it."""
    for child in family.waited_for(found.state):
        row, parked = child.saga, family.parked.get(child.saga.id)
        moves = (
            [move for letter in parked.state.letters for move in commands(program, *parked, letter)] if parked else []
        )
        waits = f"{words.step_label(child.slot.step, child.slot.item)} waits for its child saga {row.name} {row.id}"
        yield f"{waits}, which is {row.status.value}" + ("\n  run: " + "\n   or: ".join(moves) if moves else "")


def _standstill(found: Snapshot, now: datetime, program: str) -> Iterator[str]:
    overdue = max(((now - wait.due_at).total_seconds() for wait in found.awaited), default=0.0)
    if overdue > STUCK_AFTER:
        yield f"should have moved {spoken(overdue)} ago: no sweeper seems to run; see {program} doctor"


def _nothing(found: Snapshot, program: str) -> str:
    if found.state.status.ended:
        return "nothing: the saga has ended"
    return f"nothing is awaited, which should not be; see {program} doctor"


# --------------------------------------------------------------------------------------------------------------- waits


def _wait(case: Case, wait: OpenWait, program: str) -> str:
    found, now = case.found, case.now
    attempt = _attempt(found, wait.slot, wait.attempt)
    left = "once it is resumed" if found.state.suspended else _in((wait.due_at - now).total_seconds())
    since = spoken((now - wait.since).total_seconds())
    match wait.awaited:
        case Awaited.ADMISSION:
            return f"waits to be let in; looked at again {left}"
        case Awaited.NUDGE if wait.slot.item == INBOX_ITEM:
            return f"news came, id {excerpt(wait.slot.step)}: a coordinator takes them up; asked again {left}"
        case Awaited.NUDGE:
            return f"a coordinator takes it up; asked again {left}"
        case Awaited.REST:
            return f"{_attempt(found, wait.slot, wait.attempt + 1)} {left}"
        case Awaited.HELD:
            return f"{attempt} is held for {since} so far: not sent yet, and goes out when its pause ends"
        case Awaited.START:
            return f"{attempt} sent {since} ago{_resent(case, wait, program)}; again {left}"
        case Awaited.END:
            return f"{attempt} runs{_where(wait)}; no sign of it for {since}{_lease(found, wait)}"
        case Awaited.DEADLINE:
            return f"the saga's time runs out {left}"


def _in(seconds: float) -> str:
    return f"in {spoken(seconds)}" if seconds > 0 else "now"


def _answer(found: Snapshot, wait: Waiting, now: datetime, program: str) -> str:
    """Until when a step waits, as a sentence, and the command that ends it."""
    sentence = f"{excerpt(wait.step)} {wait.words(now)}"
    if wait.kind is StepKind.SLEEP:
        return sentence
    then = "; then the saga goes on without" if wait.skippable and wait.until is not None else ""
    return f"{sentence}{then}\n  run: {answer(program, found.saga.id, wait.step)}"


def _attempt(found: Snapshot, slot: Slot, number: int) -> str:
    activity = _activity(found, slot)
    allowed = f" of {activity.policy.retry.attempts}" if activity else ""
    return f"{words.activity_label(slot)}: attempt {number}{allowed}"


def _activity(found: Snapshot, slot: Slot) -> Activity | None:
    step = found.state.step(slot.step, slot.item)
    return step.activity(slot.direction) if step else None


def _resent(case: Case, wait: OpenWait, program: str) -> str:
    if not wait.resends:
        return ""
    queue = case.queues.get(wait.slot)
    where = f" to queue {excerpt(queue)!r} (`{program} doctor` tells whether a worker consumes it)" if queue else ""
    return f", resent {wait.resends} times{where}"


def _where(wait: OpenWait) -> str:
    return f" at {excerpt(wait.worker)}" if wait.worker else ""


def _lease(found: Snapshot, wait: OpenWait) -> str:
    activity = _activity(found, wait.slot)
    return f", and after {spoken(activity.policy.timeout)} its outcome counts as unknown" if activity else ""


# ------------------------------------------------------------------------------------------------------------ commands


def answer(program: str, saga_id: str, step: str) -> str:
    """What answers a wait; pasted as it is, it is refused with a word about the event."""
    return f"{program} send {saga_id} {shlex.quote(step)} --event ''"


def commands(program: str, plan: Plan, state: SagaState, letter: DeadLetter) -> list[str]:
    """Every command that settles a dead letter, the likeliest first.

    What a person has to write is left open: pasted as it is, the command is refused with a word about it.

    Args:
        program: how this program is called: `celery -A shop saga`.
        plan: the saga's graph.
        state: the saga.
        letter: the dead letter.
    """
    step = step_label(letter.step, letter.item)
    return [f"{program} {command(move, state.id, step)}" for move in next_moves(plan, state, letter)]
