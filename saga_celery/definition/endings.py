"""How a saga ended that did not complete: told as an exception, in words and as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from saga_celery.core.events import StepCompensated
from saga_celery.core.moves import Move, verbs
from saga_celery.core.states import (
    DeadLetter,
    Direction,
    Failure,
    Reason,
    SagaStatus,
    StepKey,
    StepStatus,
    Turn,
    TurnKind,
)
from saga_celery.definition.commands import command
from saga_celery.definition.desk import HistoryEntry, Snapshot
from saga_celery.engine.redaction import NOTHING_HIDDEN, Redaction
from saga_celery.errors import Cause, SagaCompensated, SagaFailed, SagaUnsuccessful

PROGRAM = "celery -A <your app> saga"
"""How the commands are called that a message names."""
LONGEST_LINE = 300
"""Most characters of somebody else's text in a message; the whole of it is in the attributes."""


def unsuccessful(
    snapshot: Snapshot, history: Sequence[HistoryEntry], redaction: Redaction = NOTHING_HIDDEN
) -> SagaUnsuccessful:
    """The exception for a saga that ended otherwise than completed.

    Args:
        snapshot: the saga.
        history: its transitions, from which the order of what was undone is read.
        redaction: what the message must not tell; the attributes, which are for programs, have it.
    """
    turn, letters = snapshot.turn, snapshot.letters
    step = turn.step if turn else (letters[0].step if letters else "")
    cause = _cause_of_turn(turn) if turn else _cause_of_letter(snapshot, letters[0]) if letters else None
    ending = {
        "saga_id": snapshot.id,
        "saga_name": snapshot.name,
        "cause": asdict(cause) if cause else None,
        "step": step,
        "attempts": _attempts(snapshot, step),
        "undone": _undone(snapshot, history),
        "letters": [_parked(snapshot, letter, moves) for letter, moves in zip(letters, snapshot.moves, strict=True)],
    }
    if snapshot.state is SagaStatus.FAILED:
        return SagaFailed(redaction.text(_told("waits for a person", ending, snapshot.moves)), ending)
    return SagaCompensated(redaction.text(_told("was undone", ending, snapshot.moves)), ending)


# ---------------------------------------------------------------------------------------------------------------- data


def _cause_of_turn(turn: Turn) -> Cause:
    if turn.failure is None:
        return Cause(kind=turn.kind.value, message=turn.reason)
    return _raised(turn.kind.value, turn.failure)


def _cause_of_letter(snapshot: Snapshot, letter: DeadLetter) -> Cause:
    """Nothing turned the saga round: it stands where a step failed behind the pivot, or is in doubt."""
    step = snapshot.steps.get((letter.step, letter.item))
    failure = step.activity(letter.direction).failure if step else None
    if failure is not None and letter.reason is not Reason.RENDER_FAILED:
        return _raised(letter.reason.value, failure)
    message, _, traceback = letter.detail.partition("\n")
    return Cause(kind=letter.reason.value, message=message, traceback=traceback)


def _raised(kind: str, failure: Failure) -> Cause:
    return Cause(kind=kind, type=failure.type, message=failure.message, traceback=failure.traceback)


def _attempts(snapshot: Snapshot, name: str) -> int:
    """Of a fan-out: those of the item that had the most."""
    return max((step.action.attempt for step in snapshot.steps.values() if step.name == name), default=0)


def _undone(snapshot: Snapshot, history: Sequence[HistoryEntry]) -> list[dict[str, Any]]:
    """A step whose late success came after its undoing was undone again: the last time counts."""
    times: dict[StepKey, datetime] = {}
    for entry in history:
        for fact in entry.facts:
            if isinstance(fact, StepCompensated):
                key = (fact.slot.step, fact.slot.item)
                times.pop(key, None)
                times[key] = entry.at
    undone = {key for key, step in snapshot.steps.items() if step.status is StepStatus.COMPENSATED}
    return [{"step": key[0], "item": key[1], "at": at.isoformat()} for key, at in times.items() if key in undone]


def _parked(snapshot: Snapshot, letter: DeadLetter, moves: tuple[Move, ...]) -> dict[str, Any]:
    step = snapshot.steps.get((letter.step, letter.item))
    return {
        "step": letter.step,
        "item": letter.item,
        "direction": letter.direction.value,
        "reason": letter.reason.value,
        "detail": letter.detail,
        "attempts": step.activity(letter.direction).attempt if step else 0,
        "moves": list(verbs(moves)),
    }


# --------------------------------------------------------------------------------------------------------------- words


def _told(what: str, ending: dict[str, Any], moves: Sequence[tuple[Move, ...]]) -> str:
    lines = [f"saga {ending['saga_name']} {ending['saga_id']} {what}: {_because(ending)}"]
    if ending["undone"]:
        undone = ", ".join(f"{_label(each)} ({each['at'][11:19]})" for each in ending["undone"])
        lines.append(f"  undone: {undone}")
    for letter, next_moves in zip(ending["letters"], moves, strict=True):
        lines.append(f"  waits: {_where(letter)}, {letter['reason']}: {_line(letter['detail'])}")
        lines += _next(ending, letter, next_moves)
    return "\n".join([*lines, f"  more: {PROGRAM} show {ending['saga_id']}"])


def _because(ending: dict[str, Any]) -> str:
    cause, step, attempts = ending["cause"], ending["step"], ending["attempts"]
    if cause is None:
        return "no cause is known"
    raised = _line(": ".join(part for part in (cause["type"], cause["message"]) if part))
    after = f" after {attempts} attempt{'s' if attempts > 1 else ''}" if attempts else ""
    match cause["kind"]:
        case TurnKind.CANCEL:
            return f"cancelled: {raised}"
        case TurnKind.DEADLINE:
            return "the saga's time ran out"
        case TurnKind.REQUEST:
            return f"it was complete, and undone on request: {raised}"
        case TurnKind.ABORT:
            return f"step {step!r} aborted it: {raised}"
        case TurnKind.FAILURE:
            return f"step {step!r} failed{after}: {raised}"
        case kind:
            return f"{f'step {step!r}' if step else 'its result'} {kind}{after}: {raised}"


def _next(ending: dict[str, Any], letter: dict[str, Any], moves: Sequence[Move]) -> list[str]:
    """One command for each move, ready to be pasted once the dots are filled in."""
    commands = [f"{PROGRAM} {command(move, ending['saga_id'], _label(letter))}" for move in moves]
    return [f"    {'or' if number else 'next'}: {each}" for number, each in enumerate(commands)]


def _where(letter: dict[str, Any]) -> str:
    label = _label(letter) if letter["step"] else "result"
    return label if letter["direction"] == Direction.ACTION else f"{letter['direction']} of {label}"


def _label(each: dict[str, Any]) -> str:
    return f"{each['step']}[{each['item']}]" if each["item"] else str(each["step"])


def _line(text: str) -> str:
    """One line of printable text; tracebacks are for the attributes."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    line = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in " ".join(first.split()))
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"
