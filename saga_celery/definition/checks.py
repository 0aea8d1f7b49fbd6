"""What can be wrong with a saga class. Every check names the class, the method and the fix, at import."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from saga_celery.core.plan import Plan, StepKind
from saga_celery.definition.body import PARTS
from saga_celery.definition.definitions import Method, StepDefinition
from saga_celery.definition.groups import GroupKind
from saga_celery.definition.kinds import check_kind
from saga_celery.definition.option_checks import problems_of
from saga_celery.definition.options import Options
from saga_celery.definition.shapes import Shape, display
from saga_celery.definition.steps import Step
from saga_celery.definition.trouble import wrong as wrong

LONGEST_NAME = 200
LONGEST_STEP_NAME = 100
MOST_RUNNING = 1_000_000
_NAME = re.compile(r"[A-Za-z0-9_.:-]+")

TAKEN = frozenset(
    {
        "start",
        "start_many",
        "get",
        "si",
        "send",
        "key",
        "key_of",
        "task",
        "saga_id",
        "definition",
        "__init__",
        "__new__",
    }
)
"""Names that belong to `Saga` itself."""
SETTINGS = frozenset(
    {"name", "timeout", "undo_window", "retention", "max_running", "run_on", "hooks", "result", "renamed_from"}
)
"""Names that a saga class gives a meaning to, but which no step can have."""

NAMES = f"use letters, digits and _ . : - only, {LONGEST_NAME} at most"
"""What a saga may be called."""

Steps = Mapping[str, Step[Any]]
Kinds = Mapping[str, StepKind]


def is_name(name: object) -> bool:
    """Tell whether a saga may be called so."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name)) and len(name) <= LONGEST_NAME


# --------------------------------------------------------------------------------------------------------------- class


def check_class(saga: type) -> None:
    """Name, deadline, ancestors, and names in the body."""
    _check_name(saga)
    _check_time_span(saga, "timeout")
    _check_time_span(saga, "undo_window")
    _check_time_span(saga, "retention")
    _check_max_running(saga)
    _check_run_on(saga)
    _check_ancestors(saga)
    for name, value in vars(saga).items():
        _check_attribute(saga, name, value)


def _check_name(saga: type) -> None:
    name = vars(saga).get("name")
    if name is None:
        raise wrong(saga, "name", 'is missing; stored sagas are found by it: add for example `name = "shop.order"`')
    if isinstance(name, PARTS):
        raise wrong(saga, "name", "is a reserved name; give the method another one")
    if not is_name(name):
        raise wrong(saga, "name", f"{name!r} can not be a name; {NAMES}")


def _check_time_span(saga: type, name: str) -> None:
    span = getattr(saga, name, None)
    if isinstance(span, PARTS):
        raise wrong(saga, name, "is a reserved name; give the method another one")
    if span is not None and (not isinstance(span, timedelta) or span <= timedelta(0)):
        raise wrong(saga, name, f"{span!r} is no time span; write for example `{name} = timedelta(hours=1)`")


def _check_max_running(saga: type) -> None:
    limit = getattr(saga, "max_running", None)
    if isinstance(limit, PARTS):
        raise wrong(saga, "max_running", "is a reserved name; give the method another one")
    if limit is not None and not is_limit(limit):
        raise wrong(saga, "max_running", f"{limit!r} is no limit; write a whole number from 1, or None for no limit")


def _check_run_on(saga: type) -> None:
    run_on = getattr(saga, "run_on", None)
    if isinstance(run_on, PARTS):
        raise wrong(saga, "run_on", "is a reserved name; give the method another one")
    if run_on is not None and not isinstance(run_on, bool):
        raise wrong(saga, "run_on", f"{run_on!r} says nothing; write True, False, or None for the setting's default")


def is_limit(limit: object) -> bool:
    """Tell whether so many sagas can be under way at most."""
    return isinstance(limit, int) and not isinstance(limit, bool) and 1 <= limit <= MOST_RUNNING


def _check_ancestors(saga: type) -> None:
    for ancestor in saga.__mro__[1:]:
        for name, value in vars(ancestor).items():
            if isinstance(value, PARTS):
                raise wrong(
                    saga,
                    name,
                    f"comes from {ancestor.__qualname__}; a class with steps can not be subclassed, a graph belongs to "
                    "one saga: write the steps in this class and share code through plain functions",
                )


def _check_attribute(saga: type, name: str, value: object) -> None:
    reserved = TAKEN | SETTINGS if isinstance(value, PARTS) else TAKEN
    if name in reserved:
        raise wrong(saga, name, "is a reserved name; give the method another one")
    if isinstance(value, staticmethod | classmethod) and isinstance(value.__func__, PARTS):
        raise wrong(saga, name, f"a step can not be a {type(value).__name__}: it takes self and the input")


# --------------------------------------------------------------------------------------------------------------- steps


def check_steps(saga: type, steps: Steps, kinds: Kinds) -> None:
    """There are some, each under one name, each part belongs to one of them, and options and groups make sense."""
    if not steps:
        raise wrong(saga, "", "has no steps; write at least one method with @step above it")
    _check_parts(saga, steps)
    for name, step in steps.items():
        if len(name) > LONGEST_STEP_NAME:
            raise wrong(saga, name, f"the name of a step has at most {LONGEST_STEP_NAME} characters")
        _check_groups(saga, name, step)
        _check_options(saga, name, step.options)
        if kinds[name] is not StepKind.TASK:
            check_kind(saga, name, step, kinds[name])
        for part in (step.compensation, step.asker):
            if part is not None:
                _check_options(saga, part.method.__name__, part.options)
        if step.finder is not None and step.asker is None:
            raise wrong(
                saga,
                name,
                f"has @{name}.found but no probe whose answer it could judge; add @{name}.probe",
            )
    check_pivot(saga, steps, kinds)


def _check_parts(saga: type, steps: Steps) -> None:
    seen: dict[int, str] = {}
    owned = {id(part) for step in steps.values() for part in (step, step.compensation, step.asker, step.finder)}
    for name, value in vars(saga).items():
        if not isinstance(value, PARTS):
            continue
        if id(value) in seen:
            raise wrong(saga, name, f"is the same method as {seen[id(value)]}; a step has one name")
        if id(value) not in owned:
            raise wrong(saga, name, "belongs to a step of another class; write it below a step of this class")
        seen[id(value)] = name


def _check_groups(saga: type, name: str, step: Step[Any]) -> None:
    for around, group in zip((None, *step.path), step.path, strict=False):
        if group.kind is GroupKind.SEQUENCE and (around is None or around.kind is not GroupKind.PARALLEL):
            raise wrong(
                saga, name, "stands in sequence() outside parallel(), where steps follow each other anyway; drop it"
            )


def check_pivot(saga: type, steps: Steps, kinds: Kinds) -> None:
    """One point of no return at most; undoing ends in front of it."""
    pivots = [name for name, step in steps.items() if step.options.pivot]
    if len(pivots) > 1:
        raise wrong(saga, pivots[1], f"is a second pivot beside {pivots[0]}; there is one point of no return")
    if pivots and steps[pivots[0]].path:
        raise wrong(saga, pivots[0], "is a pivot inside parallel(); move it above or below the block")
    behind = False
    for name, step in steps.items():
        behind = behind or step.options.pivot
        if kinds[name] is StepKind.TASK:
            _check_undoing(saga, name, step, behind)


def _check_undoing(saga: type, name: str, step: Step[Any], behind: bool) -> None:
    reason = step.options.no_compensation
    if reason is not None and (not isinstance(reason, str) or not reason.strip()):
        raise wrong(saga, name, 'no_compensation= is the reason, as text: no_compensation="the mail is sent anyway"')
    if step.compensation is not None and reason is not None:
        raise wrong(saga, name, f"has both {step.compensation.method.__name__} and no_compensation=; drop one of them")
    if step.compensation is not None and behind:
        raise wrong(
            saga,
            step.compensation.method.__name__,
            f"would never run: {name} is the pivot or behind it, where sagas only go forward; drop the compensation or "
            "move the pivot",
        )
    if step.compensation is None and reason is None and not behind:
        raise wrong(
            saga,
            name,
            f"stands before the pivot and can not be undone; add @{name}.compensate, or say why that is right: "
            '@step(no_compensation="why")',
        )


# ------------------------------------------------------------------------------------------------------------- options


def _check_options(saga: type, method: str, options: Options) -> None:
    for problem in problems_of(options):
        raise wrong(saga, method, problem)


# ------------------------------------------------------------------------------------------------------------- methods


def check_function(saga: type, name: str, function: object) -> None:
    """A plain method with named parameters, the first of them the input."""
    if isinstance(function, staticmethod | classmethod):
        raise wrong(saga, name, f"is a {type(function).__name__}; saga methods take self and the input")
    if not inspect.isfunction(function):
        raise wrong(saga, name, f"is a {type(function).__name__}, not a method; write `def {name}(self, data: Input)`")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise wrong(saga, name, "is async; a saga method only builds a signature, the task does the work: drop `async`")
    if inspect.isgeneratorfunction(function):
        raise wrong(saga, name, "is a generator; return one signature")
    parameters = list(inspect.signature(function).parameters.values())
    for each in parameters:
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            raise wrong(saga, name, f"{each}: arguments have names here, those of earlier steps; spell them out")
    positional = [each for each in parameters if each.kind is not inspect.Parameter.KEYWORD_ONLY]
    if len(positional) < 2:
        raise wrong(saga, name, "takes no input; the first argument after self is the input of the saga")
    if any(each.kind is each.POSITIONAL_ONLY for each in positional[2:]):
        raise wrong(saga, name, "has positional-only arguments; results are passed by name")


def check_input_annotation(saga: type, method: str, argument: str, annotation: object, expected: object) -> None:
    """The first argument is annotated with the input type of the saga, or with what that is a kind of."""
    if annotation in (expected, Any, object):
        return
    if isinstance(annotation, type) and isinstance(expected, type) and issubclass(expected, annotation):
        return
    raise wrong(
        saga,
        method,
        f"its first argument is the saga's input, of type {display(expected)}; it is annotated "
        f"`{argument}: {display(annotation)}`",
    )


def check_takes(saga: type, method: str, argument: str, may_take: Collection[str], plan: Plan, own: str) -> None:
    """An argument names a step whose result is there by then."""
    if argument in may_take:
        return
    if argument == own:
        raise wrong(saga, method, f"takes its own result {argument!r}, which is not there yet; drop the argument")
    if argument not in plan.by_name:
        raise wrong(saga, method, f"takes {argument!r}, which is no step{_meant(argument, may_take)}")
    if argument in plan.followers[own]:
        raise wrong(saga, method, f"takes the result of {argument!r}, a later step; move {own!r} below it")
    raise wrong(
        saga,
        method,
        f"takes the result of {argument!r}, which runs beside it; move one of the two out of parallel()",
    )


def _meant(argument: str, may_take: Collection[str]) -> str:
    close = difflib.get_close_matches(argument, may_take, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    known = ", ".join(sorted(may_take))
    return f"; behind the input come names of earlier steps: {known}" if known else "; there is no earlier step"


# ----------------------------------------------------------------------------------------------------- what may be None


def check_missing_results(saga: type, steps: Mapping[str, StepDefinition], result: Method | None) -> None:
    """Whoever takes the result of a step that may be skipped, or may have had none, is prepared for None."""
    skippable = {name for name, step in steps.items() if step.action.method.may_skip}
    for step in steps.values():
        for activity in (step.action, step.compensation, step.probe):
            if activity is not None:
                _check_skippable(saga, activity.method, skippable - {step.name})
        _check_null_safe(saga, step)
    if result is not None:
        _check_skippable(saga, result, skippable)


def _check_skippable(saga: type, method: Method, skippable: Collection[str]) -> None:
    for name, shape in method.takes.items():
        if name in skippable and not shape.allows_none:
            raise wrong(
                saga,
                method.function.__name__,
                f"takes the result of {name!r}, which may be skipped: {_allow_none(name, shape)}",
            )


def check_sleeps(saga: type, steps: Mapping[str, StepDefinition], result: Method | None, kinds: Kinds) -> None:
    """Nobody takes the result of a sleep for anything: time passes, and that is all."""
    activities = (each for step in steps.values() for each in (step.action, step.compensation, step.probe))
    methods = [activity.method for activity in activities if activity is not None]
    for method in methods if result is None else [*methods, result]:
        for name, shape in method.takes.items():
            if kinds[name] is StepKind.SLEEP and not shape.allows_none:
                raise wrong(
                    saga, method.function.__name__, f"takes the result of {name!r}, a sleep, which has none: drop it"
                )


def _check_null_safe(saga: type, step: StepDefinition) -> None:
    undo = step.compensation
    if undo is None or not undo.options.null_safe:
        return
    own = undo.method.takes.get(step.name)
    if own is not None and not own.allows_none:
        raise wrong(
            saga,
            undo.method.function.__name__,
            f"is null_safe, so it may run without a result; {_allow_none(step.name, own)}",
        )


def _allow_none(name: str, shape: Shape) -> str:
    return f"write `{name}: {shape} | None`"
