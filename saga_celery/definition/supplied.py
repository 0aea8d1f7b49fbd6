"""A result that a person supplies, held against the types of the step and of the methods that will take it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from saga_celery.core.events import OperatorAsked, Verb
from saga_celery.core.states import DeadLetter, Direction, step_label
from saga_celery.definition.definitions import Definition, Method, StepDefinition
from saga_celery.definition.renames import Names
from saga_celery.definition.shapes import Mismatch, Shape
from saga_celery.errors import InputRejected, Refused


def check_supplied(names: Names, asked: OperatorAsked, step: str, item: int = 0) -> None:
    """Refuse a result, or the lack of one, on which the saga could not go on.

    What is skipped is not undone, and needs a result only where later methods take it.

    Args:
        names: what the steps of the class are called in the saga.
        asked: the verb, with the result.
        step: whose result it will be, as the saga calls it.
        item: of a fan-out.

    Raises:
        InputRejected: it does not fit; names the type, and how to supply one.
        DefinitionError: the class of today has no such step.
    """
    today, label = names.today(step), step_label(step, item)
    skipped = asked.verb is Verb.SKIP
    if not skipped or asked.result is not None:
        what = f"step {label!r} of {names.definition.label} returns {today.result}"
        for each in _each(today, asked.result, item):
            _check(today.result, each, what, asked)
    own = () if skipped else _own_takers(today)
    later = _later_takers(names, today)
    for method, value in (*((each, asked.result) for each in own), *((each, _listed(asked, item)) for each in later)):
        shape = method.takes[today.name]
        _check(shape, value, f"{method.label} takes the result of {label!r} as {shape}", asked)


def _each(today: StepDefinition, result: Any, item: int) -> list[Any]:
    """What has the type of the step: of a whole fan-out the members of its list."""
    return result if today.action.method.fans_out and not item and isinstance(result, list) else [result]


def _listed(asked: OperatorAsked, item: int) -> Any:
    """What later methods see: of an item they take the list that it is in."""
    return [asked.result] if item else asked.result


def _own_takers(today: StepDefinition) -> list[Method]:
    found = (today.activity(direction) for direction in (Direction.COMPENSATION, Direction.PROBE))
    return [each.method for each in found if each is not None and today.name in each.method.takes]


def _later_takers(names: Names, today: StepDefinition) -> list[Method]:
    methods = _methods(names.definition, today)
    return [each for each in methods if today.name in each.takes]


def _methods(definition: Definition, but: StepDefinition) -> Iterator[Method]:
    for step in definition.steps.values():
        activities = (step.activity(direction) for direction in Direction)
        yield from (each.method for each in activities if each is not None and step is not but)
    if definition.result_method is not None:
        yield definition.result_method


def _check(shape: Shape, value: Any, what: str, asked: OperatorAsked) -> None:
    try:
        shape.decode(value)
    except Mismatch as error:
        trouble = "no result is supplied" if asked.result is None else f"it {error}"
        raise InputRejected(
            f"{asked.verb.value}: {what}, but {trouble}; supply one that fits with result=… (--result of the command)"
        ) from None


# ------------------------------------------------------------------------------------------------------------- replace


def check_complaint(names: Names, step: str, letters: list[DeadLetter]) -> None:
    """Refuse to replace a result of which nothing that is parked makes use.

    Args:
        names: what the steps of the class are called in the saga.
        step: whose result is to be replaced, as the saga calls it.
        letters: what could not be made.

    Raises:
        Refused: none of them takes the result.
        DefinitionError: the class of today lacks one of the steps.
    """
    today = names.today(step)
    if not any(today.name in method.takes for method in _parked(names, letters)):
        raise Refused(f"nothing that is parked takes the result of step {step!r}, so it stays what it is")


def _parked(names: Names, letters: list[DeadLetter]) -> Iterator[Method]:
    for found in letters:
        if found.step:
            activity = names.today(found.step).activity(found.direction)
            yield from [activity.method] if activity is not None else []
        elif names.definition.result_method is not None:
            yield names.definition.result_method
