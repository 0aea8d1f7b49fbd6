"""From `OtherSaga.si(data)` to what is stored of a child saga before it is started."""

from __future__ import annotations

from saga_celery.core.plan import Plan, PlannedStep
from saga_celery.core.states import Message
from saga_celery.definition.children import Child
from saga_celery.definition.definitions import Definition
from saga_celery.definition.inputs import encode_input
from saga_celery.definition.starting import time_limit
from saga_celery.engine.correspondence import child_message
from saga_celery.errors import DefinitionError


def message_of_child(answer: object, plan: Plan, step: PlannedStep, where: str, limit: int) -> Message:
    """Make the message of what a method returned.

    Args:
        answer: a child saga.
        plan: of the saga around it.
        step: the step that runs it.
        where: class and method, for the error.
        limit: most bytes of its input as JSON text.

    Raises:
        DefinitionError: it is no child saga, or one that could not be undone where it stands.
        InputRejected: its input or its time does not fit.
    """
    if not isinstance(answer, Child):
        kind = type(answer).__name__
        raise DefinitionError(f"{where} returned a {kind}; a step annotated `-> Child[X]` returns `OtherSaga.si(data)`")
    child = answer.saga.definition()
    _check_pivot(child, plan, step, where)
    timeout = time_limit(child, answer.timeout)
    return child_message(child.plan, encode_input(child, answer.data, limit), timeout, child.max_running)


def _check_pivot(child: Definition, plan: Plan, step: PlannedStep, where: str) -> None:
    """What is undone as a whole must never pass a point of no return."""
    pivot = next((planned.name for planned in child.plan.steps if planned.pivot), None)
    if pivot is None or step.pivot or _behind_pivot(plan, step):
        return
    raise DefinitionError(
        f"{where}: {child.label} has a pivot ({pivot}), so it can not be undone once that is done; make this step the "
        "pivot of its own saga, or move it behind the pivot"
    )


def _behind_pivot(plan: Plan, step: PlannedStep) -> bool:
    return any(planned.pivot and step.name in plan.followers[planned.name] for planned in plan.steps)
