"""Outcomes: what the answer of a probe means to its saga."""

from __future__ import annotations

from typing import Any

from saga_celery.core.events import AttemptFailed, ProbeAnswered, Verdict
from saga_celery.core.plan import Plan
from saga_celery.core.states import SagaState, Slot
from saga_celery.definition import registry
from saga_celery.definition.calls import decoded
from saga_celery.definition.definitions import Judge, StepDefinition
from saga_celery.definition.findings import NEVER, UNKNOWN, Found
from saga_celery.definition.opening import Opener, opened_of, unpacked
from saga_celery.definition.payloads import NotPlain
from saga_celery.definition.renames import Names
from saga_celery.definition.rendering import Rendering
from saga_celery.definition.saga import Saga
from saga_celery.definition.shapes import Mismatch
from saga_celery.engine.failures import failure_of
from saga_celery.errors import DefinitionError, PayloadUnavailable


def interpret_probe(
    state: SagaState, slot: Slot, attempt: int, result: Any, *, plan: Plan | None = None, opener: Opener = unpacked
) -> ProbeAnswered | AttemptFailed:
    """Make news of what a probe's task returned.

    Without `@x.found` a value means that the step took effect, and None that it never did.

    Args:
        state: the saga.
        slot: the probe.
        attempt: its attempt.
        result: plain JSON.
        plan: the graph that the saga was started with; default: that of the class of today.
        opener: opens what is packed.

    Returns:
        The probe's verdict; a failed attempt when the answer can not be understood, so that the probe is asked again.

    Raises:
        UnknownSaga: this process has no such saga.
        PayloadUnavailable: the payload store does not answer.
    """
    saga = registry.find(state.name)
    names = Names(definition=saga.definition(), plan=plan or saga.definition().plan)
    try:
        seen = opened_of(state, (), opener)
        verdict, value = _verdict(saga, names, seen, slot, opener(state.id, result))
    except PayloadUnavailable:
        raise
    except Exception as error:
        return AttemptFailed(slot=slot, attempt=attempt, failure=failure_of(error, step=slot.step))
    return ProbeAnswered(slot=slot, attempt=attempt, verdict=verdict, result=value)


def _verdict(
    saga: type[Saga[Any, Any]], names: Names, state: SagaState, slot: Slot, result: Any
) -> tuple[Verdict, Any]:
    step = names.today(slot.step)
    if step.probe is None:
        raise DefinitionError(f"step {slot.step!r} of {saga.__qualname__} has no probe any more; put it back")
    if step.judge is not None:
        return _judged(saga, names, step, step.judge, state, slot, result)
    if result is None:
        return Verdict.NEVER, None
    decoded(step.probe.method.label, "the answer", step.result, result)
    return Verdict.FOUND, result


def _judged(
    saga: type[Saga[Any, Any]],
    names: Names,
    step: StepDefinition,
    judge: Judge,
    state: SagaState,
    slot: Slot,
    result: Any,
) -> tuple[Verdict, Any]:
    rendering = Rendering(names=names, state=state, slot=slot)
    data = decoded(judge.label, "the input of the saga", judge.input, state.input)
    answer = decoded(judge.label, "the probe's answer", judge.answer, result)
    finding = judge.function(saga._rendered_by(rendering), data, answer)
    if isinstance(finding, Found):
        return Verdict.FOUND, _found(judge, step, finding.result)
    if finding is NEVER:
        return Verdict.NEVER, None
    if finding is UNKNOWN:
        return Verdict.UNKNOWN, None
    raise DefinitionError(f"{judge.label} returned {finding!r}; return Found(result), NEVER or UNKNOWN")


def _found(judge: Judge, step: StepDefinition, result: Any) -> Any:
    try:
        return step.result.encode(result)
    except Mismatch as error:
        raise DefinitionError(f"{judge.label}: what it found {error}") from error
    except NotPlain as error:
        raise DefinitionError(f"{judge.label}: what it found is no plain JSON: {error}") from error
