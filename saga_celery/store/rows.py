"""Rows of the tables from states, and states from rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from saga_celery.core.events import OperatorActed
from saga_celery.core.states import (
    Activity,
    DeadLetter,
    Direction,
    Mail,
    Parent,
    Reason,
    SagaState,
    SagaStatus,
    Slot,
    StepState,
    StepStatus,
    Turn,
)
from saga_celery.core.steps import Steps
from saga_celery.engine.ports import Change, Due
from saga_celery.store.codec import dumps, from_json, loads, optional_dumps, storable, to_json
from saga_celery.store.columns import NAME

Row = dict[str, Any]

DONE = (SagaStatus.COMPLETED, SagaStatus.COMPENSATED)
"""Where nothing is awaited any more; `FAILED` still waits for an operator."""

LETTERS_A_TRANSITION = 1000
"""Room for the places of the letters that one transition writes."""


# ---------------------------------------------------------------------------------------------------------------- saga


def saga_row(state: SagaState) -> Row:
    """What of a saga's row a transition may change, but for version and times."""
    return {
        "state": state.status.value,
        "result": optional_dumps(state.result),
        "turn": optional_dumps(to_json(state.turn)),
        "parked_from": state.parked_from.value if state.parked_from else None,
        "suspended": state.suspended,
        "overdue": state.overdue,
        "mail": dumps([to_json(mail) for mail in state.mail]) if state.mail else None,
    }


SAGA_COLUMNS = (
    "id",
    "name",
    "plan_hash",
    "state",
    "version",
    "input",
    "result",
    "turn",
    "parked_from",
    "suspended",
    "overdue",
    "headers",
    "mail",
    "parent",
    "priority",
    "gated",
)
"""What `state_from` reads of a saga, in this order."""


def state_from(saga: Sequence[Any], steps: Iterable[StepState], letters: Iterable[DeadLetter]) -> SagaState:
    """A saga from its rows.

    Args:
        saga: the columns `SAGA_COLUMNS` of its row.
        steps: its steps.
        letters: its dead letters, in the order of their places.
    """
    row = dict(zip(SAGA_COLUMNS, saga, strict=True))
    return SagaState(
        id=row["id"],
        name=row["name"],
        plan_hash=row["plan_hash"],
        status=SagaStatus(row["state"]),
        version=row["version"],
        input=loads(row["input"]),
        result=loads(row["result"]),
        steps=Steps({(step.name, step.item): step for step in steps}),
        turn=from_json(Turn, loads(row["turn"])),
        parked_from=SagaStatus(row["parked_from"]) if row["parked_from"] else None,
        letters=tuple(letters),
        suspended=bool(row["suspended"]),
        overdue=bool(row["overdue"]),
        headers=loads(row["headers"]),
        mail=tuple(from_json(Mail, mail) for mail in loads(row["mail"]) or ()),
        parent=from_json(Parent, loads(row["parent"])),
        priority=row["priority"],
        gated=bool(row["gated"]),
    )


# --------------------------------------------------------------------------------------------------------------- steps


def changed_steps(change: Change) -> list[StepState]:
    """The steps that a transition touched."""
    return list(Steps.of(change.after.steps).changed_since(Steps.of(change.before.steps)))


def step_row(step: StepState) -> Row:
    """The row of a step, but for its saga."""
    activities = {"action": step.action, "compensation": step.compensation, "probe": step.probe}
    plain = {name: to_json(found) for name, found in activities.items() if found is not None}
    return {
        "step": step.name,
        "item": step.item,
        "status": step.status.value,
        "start_order": step.order,
        "result": optional_dumps(step.result),
        "activities": dumps(plain if step.items is None else {**plain, "items": step.items}),
    }


def step_from(row: Sequence[Any]) -> StepState:
    """A step from name, item, status, order, result and activities, the last two decoded."""
    step, item, status, order, result, activities = row
    return StepState(
        name=step,
        item=item,
        status=StepStatus(status),
        order=order,
        action=from_json(Activity, activities["action"]),
        compensation=from_json(Activity, activities.get("compensation")),
        probe=from_json(Activity, activities.get("probe")),
        result=result,
        items=activities.get("items"),
    )


# -------------------------------------------------------------------------------------------------------- dead letters


def settled_letters(change: Change) -> list[Row]:
    """Keys of the dead letters that a transition settled."""
    kept = {letter.key for letter in change.after.letters}
    return [_letter_key(letter) for letter in change.before.letters if letter.key not in kept]


def new_letters(change: Change) -> list[Row]:
    """Rows of the dead letters that a transition wrote, but for saga and time."""
    before = {letter.key: letter for letter in change.before.letters}
    first = (change.before.version + 1) * LETTERS_A_TRANSITION
    return [
        {**_letter_row(letter), "place": first + number}
        for number, letter in enumerate(change.after.letters)
        if before.get(letter.key) != letter
    ]


def _letter_key(letter: DeadLetter) -> Row:
    return {**_key_row(letter.slot), "attempt": letter.attempt}


def _letter_row(letter: DeadLetter) -> Row:
    return {
        **_letter_key(letter),
        "reason": letter.reason.value,
        "detail": storable(letter.detail),
        "result": optional_dumps(letter.result),
    }


def letter_from(row: Sequence[Any]) -> DeadLetter:
    """A dead letter from step, item, direction, generation, attempt, reason, detail and result, the last decoded."""
    step, item, direction, generation, attempt, reason, detail, result = row
    return DeadLetter(
        step=step,
        item=item,
        direction=Direction(direction),
        generation=generation,
        attempt=attempt,
        reason=Reason(reason),
        detail=detail,
        result=result,
    )


# ------------------------------------------------------------------------------------------------------------- awaited


def settled_slots(change: Change) -> list[Row]:
    """Keys of what a transition no longer awaits."""
    return [slot_row(slot) for slot in change.settled]


def slot_row(slot: Slot) -> Row:
    """The columns that name an activity, but for its saga."""
    return {"step": slot.step, "item": slot.item, "direction": slot.direction.value}


def _key_row(slot: Slot) -> Row:
    """The same, generation included."""
    return {**slot_row(slot), "generation": slot.generation}


def awaited_rows(change: Change) -> list[Row]:
    """Rows of what a transition awaits, but for saga and times; none when the saga is done."""
    if change.after.status in DONE:
        return []
    return [awaited_row(due, change.before.version + 1) for due in change.awaited]


def awaited_row(due: Due, version: int) -> Row:
    """The row of one wait, but for its saga; `seconds` stands for its time."""
    return {
        **_key_row(due.slot),
        "awaited": due.awaited.value,
        "attempt": due.attempt,
        "epoch": due.epoch,
        "worker": due.worker,
        "timeout": float(due.timeout),
        "seconds": float(due.seconds),
        "version": version,
    }


# ------------------------------------------------------------------------------------------------------------- history


def actor_of(change: Change) -> str | None:
    """The person behind a transition."""
    for fact in change.facts:
        if isinstance(fact, OperatorActed):
            return storable(fact.actor)[:NAME]
    return None
