"""Calling a method of a saga class with the stored input and results, decoded to its annotations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saga_celery.core.states import SagaState, Slot, StepState, StepStatus
from saga_celery.definition.definitions import Method
from saga_celery.definition.renames import Names
from saga_celery.definition.shapes import Mismatch, Shape
from saga_celery.errors import DefinitionError

_WITHOUT_RESULT = (StepStatus.SCHEDULED, StepStatus.AWAITING, StepStatus.CANCELLED)


def call(method: Method, instance: object, state: SagaState, names: Names, slot: Slot | None = None) -> Any:
    """Call a method as the saga stands now.

    Args:
        method: the compiled method.
        instance: a fresh instance.
        state: where input and results are.
        names: what the steps of the class are called in this saga.
        slot: what is being made; None: the result of the saga. Where it is about an item of a fan-out, the result of
            its own step is that item's.

    Returns:
        What the method returned.

    Raises:
        DefinitionError: a stored value does not fit an annotation any more.
        Exception: whatever the method raised.
    """
    data = decoded(method.label, "the input of the saga", method.input, state.input)
    return method.function(instance, data, **_results(method, state, names, slot))


def _results(method: Method, state: SagaState, names: Names, slot: Slot | None) -> Mapping[str, Any]:
    return {
        name: _result(method, name, shape, _giver(state, names, name, slot)) for name, shape in method.takes.items()
    }


def _giver(state: SagaState, names: Names, name: str, slot: Slot | None) -> StepState | None:
    stored = names.stored(name)
    return state.step(stored, slot.item if slot is not None and slot.step == stored else 0)


def _result(method: Method, name: str, shape: Shape, step: StepState | None) -> Any:
    if step is None or step.status in _WITHOUT_RESULT:
        raise DefinitionError(
            f"{method.label} takes the result of {name!r}, which this saga has not run: "
            "it was started when the class had another graph"
        )
    return decoded(method.label, f"the result of {name!r}", shape, step.result)


def decoded(label: str, what: str, shape: Shape, plain: Any) -> Any:
    """Decode a stored value for a method.

    Raises:
        DefinitionError: it does not fit; names the method, which value it is, and the annotation.
    """
    try:
        return shape.decode(plain)
    except Mismatch as error:
        raise DefinitionError(f"{label}: {what} {error}") from error
