"""The plan: the graph of a saga's steps as it was when the saga started.

A plan is pinned: `start()` stores its hash with the saga, and the machine sees no other plan, whatever the class of
today looks like. So it holds the graph alone; policies (retries, timeouts) are stored with each message when it is
rendered.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

CLASS_FORM = "class"
"""The saga's class renders its messages."""
CHAIN_FORM = "chain"
"""The messages are stored with the saga, so no code of its own is needed to render them."""


class StepKind(StrEnum):
    """What a step stands for."""

    TASK = "task"
    """Runs a Celery task (or a list of them: known when it is rendered)."""
    WAIT = "wait"
    """Waits for an event from outside; it may run a task first that asks for it."""
    SLEEP = "sleep"
    """Waits for a time."""
    CHILD = "child"
    """Runs another saga and waits for its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One node of the graph."""

    name: str
    after: tuple[str, ...] = ()
    """The steps that must be done before this one starts."""
    kind: StepKind = StepKind.TASK
    pivot: bool = False
    """Once it succeeded the saga only goes forward."""
    compensable: bool = False
    """Has a compensation."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The graph, in the order in which the steps are written; every step stands behind those that it waits for."""

    saga: str
    steps: tuple[PlannedStep, ...]
    form: str = CLASS_FORM
    """Where messages come from: `CLASS_FORM` or `CHAIN_FORM`."""

    @cached_property
    def by_name(self) -> dict[str, PlannedStep]:
        """The steps by their names."""
        return {step.name: step for step in self.steps}

    @cached_property
    def followers(self) -> dict[str, frozenset[str]]:
        """For each step all the steps that start, directly or not, after it is done."""
        found: dict[str, set[str]] = {step.name: set() for step in self.steps}
        for step in reversed(self.steps):
            for earlier in step.after:
                found[earlier] |= {step.name} | found[step.name]
        return {name: frozenset(later) for name, later in found.items()}

    @cached_property
    def hash(self) -> str:
        """Identity of the graph: equal graphs have equal hashes on every machine and release."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:32]

    def to_json(self) -> str:
        """Canonical text of the plan, as it is stored."""
        plain = {"saga": self.saga, "steps": list(self._plain_steps())}
        if self.form != CLASS_FORM:  # left out otherwise, so that the hashes of classes stay what they were
            plain["form"] = self.form
        return json.dumps(plain, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote."""
        data: dict[str, Any] = json.loads(text)
        steps = tuple(_step_from(plain) for plain in data["steps"])
        return cls(saga=data["saga"], steps=steps, form=data.get("form", CLASS_FORM))

    def _plain_steps(self) -> Iterator[dict[str, Any]]:
        for step in self.steps:
            yield {
                "name": step.name,
                "after": list(step.after),
                "kind": step.kind.value,
                "pivot": step.pivot,
                "compensable": step.compensable,
            }


def _step_from(plain: dict[str, Any]) -> PlannedStep:
    return PlannedStep(
        name=plain["name"],
        after=tuple(plain["after"]),
        kind=StepKind(plain["kind"]),
        pivot=plain["pivot"],
        compensable=plain["compensable"],
    )
