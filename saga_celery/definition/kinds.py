"""What kind a step is of: a task, a wait, a sleep, or another saga; and which options make no sense for that."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from saga_celery.core.plan import StepKind
from saga_celery.definition.children import Child
from saga_celery.definition.hints import type_hints
from saga_celery.definition.options import Options
from saga_celery.definition.steps import Step
from saga_celery.definition.trouble import wrong
from saga_celery.definition.waits import Sleep, Wait

WORDS: Mapping[StepKind, str] = {
    StepKind.TASK: "a task",
    StepKind.WAIT: "a wait",
    StepKind.SLEEP: "a sleep",
    StepKind.CHILD: "a child saga",
}
"""What a step is, as a sentence would put it."""


def kinds_of(saga: type, steps: Mapping[str, Step[Any]], scope: Mapping[str, Any]) -> Mapping[str, StepKind]:
    """The kind of each step: told by its decorator, and of a child saga by its return annotation."""
    return {name: _kind(saga, step, scope) for name, step in steps.items()}


def _kind(saga: type, step: Step[Any], scope: Mapping[str, Any]) -> StepKind:
    if isinstance(step, Wait):
        return StepKind.WAIT
    if isinstance(step, Sleep):
        return StepKind.SLEEP
    try:
        returned = type_hints(step.method, scope, vars(saga)).get("return")
    except (NameError, TypeError):  # what is wrong with the annotations is said when they are read
        return StepKind.TASK
    return StepKind.CHILD if any(map(_is_child, members(returned))) else StepKind.TASK


def members(annotation: Any) -> tuple[Any, ...]:
    """The parts of a union; any other annotation is its own only part."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _is_child(annotation: Any) -> bool:
    return annotation is Child or get_origin(annotation) is Child


# ------------------------------------------------------------------------------------------------------------- options


def check_kind(saga: type, name: str, step: Step[Any], kind: StepKind) -> None:
    """Refuse what has no meaning for a step that waits, and say what has.

    Raises:
        DefinitionError: names the class, the step and the fix.
    """
    what = WORDS[kind]
    for part in (step.compensation, step.asker):
        if part is not None:
            raise wrong(saga, part.method.__name__, f"belongs to {what}, {_INSTEAD[kind]}; drop it")
    if kind is StepKind.WAIT and step.options.wait is None:
        raise wrong(saga, name, "timeout=None; every wait has an end: give more than 0 seconds, or a timedelta")
    if kind is StepKind.CHILD:
        for option in _set_options(step.options):
            raise wrong(saga, name, f"{option}= has no meaning for {what}: {_of_child(option)}")


_INSTEAD = {
    StepKind.WAIT: "which has no effect that could be undone or asked for",
    StepKind.SLEEP: "which has no effect that could be undone or asked for",
    StepKind.CHILD: "which is undone as a whole by its own compensations",
}
_OF_TASKS = ("retry", "timeout", "queue_grace", "settle_delay", "fatal", "idempotent", "no_compensation", "run_on")


def _set_options(options: Options) -> list[str]:
    return [option for option in _OF_TASKS if getattr(options, option)]


def _of_child(option: str) -> str:
    if option == "timeout":
        return "give it to `.si(data, timeout=…)`, or to the class of that saga"
    if option == "no_compensation":
        return "it is undone as a whole by its own compensations"
    return "it is said in the steps of that saga"
