"""Whose child a saga is, and which children it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from saga_celery.core.plan import Plan
from saga_celery.core.states import SagaState, SagaStatus, Slot, StepStatus
from saga_celery.engine.correspondence import CHILD_TASK
from saga_celery.errors import SagaNotFound
from saga_celery.store import SQLStore
from saga_celery.store.views import ChildRow, SagaRow

WAITED_FOR = (StepStatus.AWAITING, StepStatus.COMPENSATING)
"""A step whose child has yet to end, or to be undone."""


class Parked(NamedTuple):
    """A child that waits for a person."""

    plan: Plan
    state: SagaState


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The relations of one saga."""

    parent: SagaRow | None = None
    parent_slot: Slot | None = None
    """The activity of the parent that waits for it."""
    children: Sequence[ChildRow] = ()
    parked: Mapping[str, Parked] = field(default_factory=dict)
    """The children that wait for a person, by their ids."""

    def waited_for(self, state: SagaState) -> Iterator[ChildRow]:
        """The children whose end the saga waits for."""
        for child in self.children:
            step = state.step(child.slot.step, child.slot.item)
            if step is not None and step.status in WAITED_FOR and step.action.generation == child.slot.generation:
                yield child


def family_of(store: SQLStore, state: SagaState) -> Family:
    """Look a saga's relations up; most have none, and cost no query."""
    children = store.queries.children(state.id) if any(map(_runs_a_child, state.steps.values())) else []
    parked = [store.load(child.saga.id) for child in children if child.saga.status is SagaStatus.FAILED]
    return Family(
        parent=None if state.parent is None else _parent(store, state.parent.id),
        parent_slot=None if state.parent is None else state.parent.slot,
        children=children,
        parked={each.id: Parked(store.plan(each.plan_hash), each) for each in parked if each is not None},
    )


def _parent(store: SQLStore, saga_id: str) -> SagaRow | None:
    """None: somebody deleted it without its children."""
    with suppress(SagaNotFound):
        return store.queries.row(saga_id)
    return None


def _runs_a_child(step: Any) -> bool:
    return step.action.message is not None and step.action.message.task == CHILD_TASK


# -------------------------------------------------------------------------------------------------------------- as JSON


def parent_record(family: Family) -> dict[str, Any] | None:
    """The parent as JSON; None: it has none."""
    if family.parent is None or family.parent_slot is None:
        return None
    row, slot = family.parent, family.parent_slot
    return {"id": row.id, "name": row.name, "state": row.status, "step": slot.step, "item": slot.item}


def child_records(family: Family) -> list[dict[str, Any]]:
    """The children as JSON."""
    return [
        {
            "step": child.slot.step,
            "item": child.slot.item,
            "generation": child.slot.generation,
            "id": child.saga.id,
            "name": child.saga.name,
            "state": child.saga.status,
        }
        for child in family.children
    ]
