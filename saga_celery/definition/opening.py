"""Opening what is packed for a method of a saga class: its input, and the results that it takes, but no others."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, TypeAlias

from saga_celery.core.states import SagaState, StepState
from saga_celery.definition.definitions import Method
from saga_celery.definition.renames import Names
from saga_celery.engine.packed import is_packed

Opener: TypeAlias = Callable[[str, Any], Any]
"""(id of the saga, what stands in place of a value) -> the value."""


def unpacked(saga_id: str, value: Any) -> Any:
    """The opener of those who never pack."""
    return value


def opened_for(method: Method, state: SagaState, names: Names, opener: Opener) -> SagaState:
    """The state as a method may see it.

    Args:
        method: the compiled method.
        state: the saga.
        names: what the steps of the class are called in this saga.
        opener: opens a value.

    Raises:
        PayloadUnreadable: something that the method takes can not be read.
        PayloadUnavailable: the payload store does not answer.
    """
    return opened_of(state, {names.stored(name) for name in method.takes}, opener)


def _opened_result(saga_id: str, step: StepState, opener: Opener) -> Any:
    """The result of a fan-out is the list of those of its items, each packed by itself."""
    if step.items is not None and isinstance(step.result, list):
        return [opener(saga_id, each) for each in step.result]
    return opener(saga_id, step.result)


def opened_of(state: SagaState, taken: Collection[str], opener: Opener) -> SagaState:
    """The state with its input and the results of some steps open; see `opened_for`."""
    results = {
        key: replace(step, result=_opened_result(state.id, step, opener))
        for key, step in state.steps.items()
        if step.name in taken and (is_packed(step.result) or step.items is not None)
    }
    data = opener(state.id, state.input) if is_packed(state.input) else state.input
    return replace(state, input=data, steps={**state.steps, **results}) if results or data is not state.input else state
