"""Would the sagas that are open strand on the classes of today?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from saga_celery.core.states import SagaState
from saga_celery.definition import registry
from saga_celery.definition.drift import Difference, Drift, class_gone, drift, is_whole
from saga_celery.definition.opening import opened_of
from saga_celery.definition.parking import only_parking
from saga_celery.store.views import OpenGroup

if TYPE_CHECKING:
    from saga_celery.app.saga_app import SagaApp

SAMPLE = 50
"""Sagas of each plan whose stored input and results are decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPlan:
    """The open sagas of one name and one plan, held against the class of today."""

    name: str
    plan_hash: str
    open: int
    """How many have not ended."""
    drift: Drift

    @property
    def differences(self) -> tuple[Difference, ...]:
        """What differs; those that strand sagas come first."""
        return self.drift.differences

    @property
    def would_park(self) -> int:
        """How many of the sagas that were looked at would park."""
        return self.drift.would_park


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What `check_open_sagas` found out."""

    plans: tuple[CheckedPlan, ...]
    only_parking: Mapping[str, tuple[str, ...]]
    """By name of the saga class: steps that can only park when their outcome is unknown."""

    @property
    def fine(self) -> bool:
        """No open saga would strand."""
        return not any(plan.would_park for plan in self.plans)


def check_open_sagas(sagas: SagaApp, *, sample: int = SAMPLE) -> Checked:
    """Hold the plans of all open sagas against the saga classes of this process. Only reads.

    Run it with the code that is about to be deployed and the database of the deployment, and import all modules with
    sagas before: a class that is not imported counts as gone.

    Args:
        sagas: the app.
        sample: of how many sagas of each plan the stored input and results are decoded.

    Raises:
        StoreError: the database failed, or its tables are behind.
    """
    sagas.check_schema()
    plans = tuple(_checked(sagas, group, sample) for group in sagas.store.open_sagas.groups())
    parking = {name: only_parking(saga.definition()) for name, saga in sorted(registry.registered().items())}
    return Checked(plans=plans, only_parking={name: steps for name, steps in parking.items() if steps})


def _checked(sagas: SagaApp, group: OpenGroup, sample: int) -> CheckedPlan:
    return CheckedPlan(name=group.name, plan_hash=group.plan_hash, open=group.count, drift=_drift(sagas, group, sample))


def _drift(sagas: SagaApp, group: OpenGroup, sample: int) -> Drift:
    """Where the class has all that the plan could ask for, only stored values can strand: a sample is read.

    Else every saga is read, as only its state tells whether it still needs what is missing.
    """
    if not registry.is_registered(group.name):
        return class_gone(group.name, group.count)
    plan, definition = sagas.store.plan(group.plan_hash), registry.find(group.name).definition()
    states = _states(sagas, group)
    if is_whole(plan, definition, sagas.store.open_sagas.probed(group)):
        states = islice(states, sample)
    return drift(plan, definition, states, sample=sample)


def _states(sagas: SagaApp, group: OpenGroup) -> Iterator[SagaState]:
    for saga_id in sagas.store.open_sagas.ids(group):
        state = sagas.store.load(saga_id)
        if state is not None:
            yield opened_of(state, {step.name for step in state.steps.values()}, sagas.payloads.opened)
