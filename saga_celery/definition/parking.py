"""Steps of which nobody can find out what became of them: an unknown outcome leaves them to a person."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

from saga_celery.core.plan import StepKind
from saga_celery.definition.definitions import Activity, Definition, StepDefinition
from saga_celery.definition.policies import is_idempotent


def only_parking(definition: Definition) -> tuple[str, ...]:
    """What can only park in doubt when its outcome is unknown, in the order of the plan: steps, and compensations."""
    kinds = {planned.name: planned.kind for planned in definition.plan.steps}
    return tuple(
        label for name, step in definition.steps.items() if kinds[name] in _SENT for label in _only_parking(name, step)
    )


def _only_parking(name: str, step: StepDefinition) -> Iterator[str]:
    if can_only_park(step):
        yield name
    if step.compensation is not None and not _is_repeatable(step, step.compensation):
        yield f"{name} (its compensation)"


_SENT = (StepKind.TASK, StepKind.WAIT)
"""What may run a task. The outcome of a child saga is never unknown, as its own steps answer for themselves."""


def can_only_park(step: StepDefinition) -> bool:
    """Tell whether a step can neither be asked (probe), nor repeated (idempotent or keyed), nor undone blindly."""
    repeatable = _is_repeatable(step, step.action)
    null_safe = step.compensation is not None and step.compensation.options.null_safe
    return not (step.probe or repeatable or null_safe)


def _is_repeatable(step: StepDefinition, activity: Activity) -> bool:
    return is_idempotent(step, activity.options) or asks_for_key(activity.method.function)


def asks_for_key(method: Callable[..., Any]) -> bool:
    """Tell whether `self.key` stands in a method; whether it is called is known only when it is rendered."""
    code = inspect.unwrap(method).__code__
    return _loads_key(code, code.co_varnames[0])


def _loads_key(code: CodeType, self: str) -> bool:
    before: dis.Instruction | None = None
    for each in dis.get_instructions(code):
        if before is not None and each.opname in ("LOAD_ATTR", "LOAD_METHOD") and each.argval == "key":
            names = before.argval if isinstance(before.argval, tuple) else (before.argval,)
            if names[-1] == self:
                return True
        before = each
    return any(_loads_key(inner, self) for inner in _inner(code))


def _inner(code: CodeType) -> Iterator[CodeType]:
    yield from (each for each in code.co_consts if isinstance(each, CodeType))
