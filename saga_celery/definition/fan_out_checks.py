"""What can be wrong with a step that returns a list, seen at import."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NoReturn, get_origin

from saga_celery.definition.checks import wrong
from saga_celery.definition.definitions import Method, StepDefinition
from saga_celery.definition.shapes import Shape, display


def check_fan_outs(saga: type, steps: Mapping[str, StepDefinition], result: Method | None) -> None:
    """A list is undone item by item; it is no pivot, and can not be asked; whoever takes its result takes a list."""
    lists = {name for name, step in steps.items() if step.action.method.fans_out}
    for name, step in steps.items():
        if name in lists:
            _check_fan_out(saga, step)
        elif step.action.options.limit is not None:
            problem = f"has limit={step.action.options.limit}, but runs one message; annotate it "
            raise wrong(saga, name, f"{problem}`-> list[Signature[X]]` and return a list, or drop the limit")
    for method, own in _methods(steps, result):
        _check_takes(saga, method, lists - {own})


def refuse_list(saga: type, method: str, step: str) -> NoReturn:
    """Only a step runs a list."""
    raise wrong(
        saga,
        method,
        f"returns a list; only a step can. What undoes {step!r} is called once for each of its items, with what that "
        "item returned: return one signature",
    )


def _check_fan_out(saga: type, step: StepDefinition) -> None:
    if step.action.options.pivot:
        raise wrong(
            saga,
            step.name,
            "returns a list and is the pivot; half of a list is no point of no return: make the step in front of it "
            "or behind it the pivot",
        )
    if step.probe is not None:
        raise wrong(
            saga,
            step.probe.method.function.__name__,
            f"is the probe of {step.name!r}, which returns a list; probes of lists are not supported: drop it, and "
            "make the items safe to run twice, with self.key(item) or idempotent=True",
        )
    undo = step.compensation.method if step.compensation else None
    own = undo.takes.get(step.name) if undo else None
    if undo is not None and own is not None and _is_list(own) and not _is_list(step.result):
        raise wrong(
            saga,
            undo.function.__name__,
            f"takes the result of {step.name!r} as {own}, but is called once for each item, with what that item "
            f"returned: write `{step.name}: {display(step.result.annotation)}`",
        )


def _is_list(shape: Shape) -> bool:
    return shape.annotation is list or get_origin(shape.annotation) is list


def _methods(steps: Mapping[str, StepDefinition], result: Method | None) -> Iterator[tuple[Method, str]]:
    """Every method that takes results, and the step that it belongs to."""
    for name, step in steps.items():
        for activity in (step.action, step.compensation, step.probe):
            if activity is not None:
                yield activity.method, name
    if result is not None:
        yield result, ""


def _check_takes(saga: type, method: Method, lists: Collection[str]) -> None:
    for name, shape in method.takes.items():
        if name in lists and not shape.allows_list:
            raise wrong(
                saga,
                method.function.__name__,
                f"takes the result of {name!r}, which returns a list: write `{name}: list[{shape}]`",
            )
