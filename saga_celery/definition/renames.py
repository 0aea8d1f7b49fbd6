"""Names that steps and sagas had before.

A saga that is open keeps the names of its plan for ever: its rows, keys and barrier slots are made of them. So nothing
that is stored is renamed; the class of today says which of its steps stands for which name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saga_celery.core.plan import Plan, StepKind
from saga_celery.definition.checks import LONGEST_STEP_NAME, Steps, is_name, wrong
from saga_celery.definition.definitions import Definition, StepDefinition
from saga_celery.errors import DefinitionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the steps of a class are called in one saga.

    Args:
        definition: the class of today.
        plan: the graph that the saga was started with.
    """

    definition: Definition
    plan: Plan

    def stored(self, name: str) -> str:
        """The name that a step of today has in the saga; its own where the saga has no such step."""
        if name in self.plan.by_name:
            return name
        former = (old for old, today in self.definition.former.items() if today == name and old in self.plan.by_name)
        return next(former, name)

    def today(self, stored: str) -> StepDefinition:
        """The step of today that stands for a step of the saga.

        Raises:
            DefinitionError: there is none, or it stands for two steps of this saga.
        """
        label = self.definition.label
        step = self.definition.steps.get(self.definition.former.get(stored, stored))
        if step is None:
            raise DefinitionError(
                f"step {stored!r} is not in {label} any more; put it back, name it in renamed_from= of the step that "
                "does its work now, or skip it"
            )
        if self.stored(step.name) != stored:
            raise DefinitionError(
                f"{label}.{step.name} is said to be renamed from {stored!r}, but this saga has both {stored!r} and "
                f"{self.stored(step.name)!r}, so it would run twice; put {stored!r} back as a step of its own"
            )
        return step

    def became(self, stored: str) -> StepKind | None:
        """What a step of the saga is today, where that is something else than it was.

        Raises:
            DefinitionError: see `today`.
        """
        kind = self.definition.plan.by_name[self.today(stored).name].kind
        return None if kind is self.plan.by_name[stored].kind else kind


# -------------------------------------------------------------------------------------------------------------- import


def former_steps(saga: type, steps: Steps) -> Mapping[str, str]:
    """Read and check `renamed_from` of all steps: their former names, and the names of today.

    Raises:
        DefinitionError: a former name can not be one, is still a step, or is claimed twice.
    """
    former: dict[str, str] = {}
    for name, step in steps.items():
        for old in _tuple(saga, name, "renamed_from=", step.options.renamed_from):
            _check_former(saga, name, old, steps)
            if old in former:
                raise wrong(saga, name, f"renamed_from={old!r} is claimed by {former[old]!r}, too; one step follows it")
            former[old] = name
    return former


def _check_former(saga: type, name: str, old: object, steps: Steps) -> None:
    if not isinstance(old, str) or not old.isidentifier() or len(old) > LONGEST_STEP_NAME:
        raise wrong(saga, name, f'renamed_from={old!r} is no name of a step; write renamed_from="old_name"')
    if old == name:
        raise wrong(saga, name, f"renamed_from={old!r} is the name that it has; drop it")
    if old in steps:
        raise wrong(saga, name, f"renamed_from={old!r} is still a step of this saga; drop one of the two")


def former_names(saga: type) -> tuple[str, ...]:
    """Read and check `renamed_from` of a saga class.

    Raises:
        DefinitionError: one of the names can not be one, or is the name of today.
    """
    found = vars(saga).get("renamed_from", ())
    names = _tuple(saga, "renamed_from", "", (found,) if isinstance(found, str) else found)
    for each in names:
        if not is_name(each):
            raise wrong(saga, "renamed_from", f"{each!r} can not be the name of a saga; write the name that it had")
        if each == vars(saga)["name"]:
            raise wrong(saga, "renamed_from", f"{each!r} is the name that it has; drop it")
    return names


def _tuple(saga: type, where: str, option: str, found: object) -> tuple[Any, ...]:
    if not isinstance(found, tuple | list):
        raise wrong(saga, where, f"{option}{found!r} is neither a name nor a tuple of names")
    return tuple(found)


def check_argument(saga: type, method: str, argument: str, former: Mapping[str, str]) -> None:
    """An argument has the name of today.

    Raises:
        DefinitionError: it has a former one.
    """
    if argument in former:
        raise wrong(saga, method, f"takes {argument!r}, which is {former[argument]!r} now; give the argument that name")
