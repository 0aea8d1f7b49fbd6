"""From the parts of a chain to its graph and its script."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from saga_celery.core.plan import CHAIN_FORM, Plan, PlannedStep
from saga_celery.definition.chain_reading import Part
from saga_celery.definition.chain_script import ScriptedMessage, ScriptedStep, Takes
from saga_celery.definition.chain_signatures import check_call, message_of, shown
from saga_celery.definition.chain_steps import LONGEST_STEP_NAME, ChainCompensation, ChainStep
from saga_celery.errors import DefinitionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A step in its place."""

    name: str
    step: ChainStep
    after: tuple[str, ...]
    takes: Takes
    """What its place has to offer, whether the step wants it or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A chain, ready to be started."""

    plan: Plan
    steps: dict[str, ScriptedStep]
    first: dict[str, ChainStep]
    """Those that nothing stands in front of; what `start()` is given goes to them."""
    result: Takes


def compile_chain(name: str, label: str, parts: Sequence[Part]) -> Compiled:
    """Place the steps, and check that each can be called and undone where it stands.

    Raises:
        DefinitionError: one of them can not; says which, and what to write.
    """
    placed = list(_placed(parts, _Names(label, parts)))
    _check_pivot(label, parts)
    for each in placed:
        _check_calls(f"{label}, step {each.name}", each)
    return Compiled(
        plan=Plan(saga=name, steps=tuple(_planned(each) for each in placed), form=CHAIN_FORM),
        steps={each.name: _scripted(f"{label}, step {each.name}", each) for each in placed},
        first={each.name: each.step for each in placed if not each.after},
        result=_offer(parts[-1]),
    )


# -------------------------------------------------------------------------------------------------------------- places


def _placed(parts: Sequence[Part], names: _Names) -> Iterator[Placed]:
    before: tuple[str, ...] = ()
    offer = Takes.NOTHING
    for part in parts:
        ends: list[str] = []
        for branch in part.branches:
            after, takes = before, offer
            for step in branch:
                name = names.of(step)
                yield Placed(name=name, step=step, after=after, takes=takes)
                after, takes = (name,), Takes.RESULT
            ends += after
        before, offer = tuple(ends), _offer(part)


def _offer(part: Part) -> Takes:
    return Takes.RESULTS if part.parallel else Takes.RESULT


class _Names:
    """Each step has a name of its own: the one that it was given, else that of its task, numbered where taken."""

    def __init__(self, label: str, parts: Sequence[Part]) -> None:
        given = [step.name for part in parts for branch in part.branches for step in branch if step.name]
        for name in given:
            if given.count(name) > 1:
                raise DefinitionError(f"{label}: two steps are named {name!r}; give one of them another name=")
        self._taken = set(given)

    def of(self, step: ChainStep) -> str:
        """The name of a step; asked once for each."""
        if step.name:
            return step.name
        base, number = _base(shown(step.action)), 1
        name = base
        while name in self._taken:
            number += 1
            name = f"{base}_{number}"
        self._taken.add(name)
        return name


def _base(task: str) -> str:
    """The last part of a task's name, as far as it can be the name of a step."""
    text = re.sub(r"\W+", "_", task.rpartition(".")[2], flags=re.ASCII).strip("_")
    return (text if text.isidentifier() else f"step_{text}".strip("_"))[: LONGEST_STEP_NAME - 10]


# -------------------------------------------------------------------------------------------------------------- checks


def _check_pivot(label: str, parts: Sequence[Part]) -> None:
    """One point of no return at most, not in a group, and nothing that undoes behind it."""
    behind = ""
    for part in parts:
        for step in (step for branch in part.branches for step in branch):
            task = shown(step.action)
            if step.options.pivot and behind:
                raise DefinitionError(f"{label}: {task} is a second pivot beside {behind}; there is one at most")
            if step.options.pivot and part.parallel:
                raise DefinitionError(f"{label}: {task} is a pivot inside a group; make it a part of its own")
            behind = task if step.options.pivot else behind
            if behind and step.compensation is not None:
                raise DefinitionError(
                    f"{label}: {shown(step.compensation.signature)} would never run: {task} is the pivot or behind it, "
                    "where sagas only go forward; drop the compensation or move the pivot"
                )


def _check_calls(where: str, placed: Placed) -> None:
    step = placed.step
    if placed.after:  # what the first ones are called with is known when the chain is started
        given = () if step.action["immutable"] else (None,)
        check_call(step.action, given, step.key_argument, where)
    undo = step.compensation
    if undo is not None:
        own = () if undo.signature["immutable"] else (None,)
        check_call(undo.signature, own, undo.key_argument, where)


# ------------------------------------------------------------------------------------------------------------- results


def _planned(placed: Placed) -> PlannedStep:
    return PlannedStep(
        name=placed.name,
        after=placed.after,
        pivot=placed.step.options.pivot,
        compensable=placed.step.compensation is not None,
    )


def _scripted(where: str, placed: Placed) -> ScriptedStep:
    step = placed.step
    action = ScriptedMessage(
        message=message_of(step.action, where),
        takes=Takes.NOTHING if step.action["immutable"] else placed.takes,
        key_argument=step.key_argument,
        options=step.options,
    )
    undo = step.compensation
    return ScriptedStep(
        action=action,
        compensation=None if undo is None else _scripted_undo(f"{where}, its compensation", undo),
    )


def _scripted_undo(where: str, undo: ChainCompensation) -> ScriptedMessage:
    return ScriptedMessage(
        message=message_of(undo.signature, where),
        takes=Takes.NOTHING if undo.signature["immutable"] else Takes.RESULT,
        key_argument=undo.key_argument,
        options=undo.options,
    )
