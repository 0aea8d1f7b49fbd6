"""The renderer: runs the sagas' own code and turns what it answers, or raises, into news."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from saga_celery.core.commands import Render, RenderResult
from saga_celery.core.events import (
    FanOutRendered,
    News,
    RenderAborted,
    Rendered,
    RenderFailed,
    ResultRendered,
    WaitRendered,
)
from saga_celery.core.plan import CHAIN_FORM, Plan, StepKind
from saga_celery.core.states import Direction, Policy, SagaState, Slot
from saga_celery.definition import registry
from saga_celery.definition.calls import call
from saga_celery.definition.chain_renderer import ChainRenderer
from saga_celery.definition.child_messages import message_of_child
from saga_celery.definition.definitions import Activity, Method, StepDefinition
from saga_celery.definition.fan_out import messages_from, one_of
from saga_celery.definition.inputs import encode
from saga_celery.definition.kinds import WORDS
from saga_celery.definition.opening import Opener, opened_for, unpacked
from saga_celery.definition.policies import policy_of
from saga_celery.definition.renames import Names
from saga_celery.definition.rendering import Rendering
from saga_celery.definition.saga import Saga
from saga_celery.definition.signatures import message_from
from saga_celery.definition.skip import SKIP
from saga_celery.definition.spans import span
from saga_celery.engine.failures import failure_of
from saga_celery.errors import Abort, DefinitionError, PayloadUnavailable
from saga_celery.settings import Settings


class ClassRenderer:
    """Renders with the classes that are registered in this process, and chains with what is stored.

    Args:
        settings: defaults of policies, and the largest payload.
        opener: opens what is packed.
    """

    def __init__(self, settings: Settings, opener: Opener = unpacked) -> None:
        self._settings = settings
        self._opener = opener
        self._chains = ChainRenderer(settings, opener)

    def render(self, plan: Plan, state: SagaState, wish: Render | RenderResult) -> News | None:
        """Let the saga's code answer.

        Args:
            plan: the graph that the saga was started with; its steps are looked up in the class of today, by name or
                by `renamed_from`.
            state: the saga.
            wish: which message, or the result.

        Returns:
            The message, the result, a decision to abort, or what went wrong; None when this process has no such saga.

        Raises:
            PayloadUnavailable: the payload store does not answer.
        """
        if plan.form == CHAIN_FORM:
            return self._chains.render(plan, state, wish)
        if not registry.is_registered(state.name):
            return None
        saga = registry.find(state.name)
        names = Names(definition=saga.definition(), plan=plan)
        if isinstance(wish, RenderResult):
            return self._result(saga, names, state)
        return self._message(saga, names, state, wish.slot)

    # -------------------------------------------------------------------------------------------------------- message

    def _message(self, saga: type[Saga[Any, Any]], names: Names, state: SagaState, slot: Slot) -> News:
        try:
            return self._rendered(saga, names, state, slot)
        except Abort as abort:
            return _aborted(names, slot, abort)
        except PayloadUnavailable:
            raise
        except Exception as error:
            return RenderFailed(slot=slot, failure=failure_of(error, step=slot.step))

    def _rendered(self, saga: type[Saga[Any, Any]], names: Names, state: SagaState, slot: Slot) -> News:
        step, activity = _looked_up(names, slot)
        _check_kind(names, slot)
        method, limit = activity.method, self._settings.payload_limit
        rendering = Rendering(names=names, state=state, slot=slot, fans_out=method.fans_out)
        seen = opened_for(method, state, names, self._opener)
        answer = call(method, saga._rendered_by(rendering), seen, names, slot)
        policy = policy_of(
            step,
            slot.direction,
            keyed=rendering.keyed,
            run_on=names.definition.run_on,
            settings=self._settings,
        )
        if answer is SKIP:
            _check_skip(activity, slot)
            return Rendered(slot=slot, message=None, policy=policy)
        if method.fans_out:
            return _fan_out(answer, method, rendering, policy, limit)
        planned = names.plan.by_name[slot.step]
        match planned.kind if slot.direction is Direction.ACTION else StepKind.TASK:
            case StepKind.SLEEP:
                return WaitRendered(slot=slot, policy=replace(policy, wait=span(answer, method.label)))
            case StepKind.WAIT if answer is None:
                return WaitRendered(slot=slot, policy=policy)
            case StepKind.CHILD:
                message = message_of_child(answer, names.plan, planned, method.label, limit)
            case _:
                message = message_from(answer, method.label, limit)
        return Rendered(slot=slot, message=message, policy=policy)

    # --------------------------------------------------------------------------------------------------------- result

    def _result(self, saga: type[Saga[Any, Any]], names: Names, state: SagaState) -> News:
        definition = names.definition
        if definition.result_method is None:
            return ResultRendered(result=None)
        rendering = Rendering(names=names, state=state, slot=None)
        try:
            seen = opened_for(definition.result_method, state, names, self._opener)
            value = call(definition.result_method, saga._rendered_by(rendering), seen, names)
            what = f"the result of {definition.label}"
            return ResultRendered(result=encode(definition.result, value, what, self._settings.payload_limit))
        except Abort as abort:
            return RenderFailed(slot=None, failure=failure_of(_no_abort(f"{definition.label}.result", abort)))
        except PayloadUnavailable:
            raise
        except Exception as error:
            return RenderFailed(slot=None, failure=failure_of(error))


def _looked_up(names: Names, slot: Slot) -> tuple[StepDefinition, Activity]:
    """The class of today may have another graph than the saga's; what it still has is rendered."""
    step = names.today(slot.step)
    found = step.activity(slot.direction)
    if found is None:
        label = names.definition.label
        raise DefinitionError(f"step {step.name!r} of {label} has no {slot.direction} any more; put it back")
    return step, found


def _fan_out(answer: object, method: Method, rendering: Rendering, policy: Policy, limit: int) -> News:
    """The messages of all items; or, where a person lets one item run again, the one of that."""
    slot, state = rendering.slot, rendering.state
    assert slot is not None  # noqa: S101 - only the saga's result has none
    messages = messages_from(answer, method, rendering.keys, limit)
    if slot.item == 0:
        return FanOutRendered(slot=slot, messages=messages, policy=policy)
    items = state.steps[(slot.step, 0)].items or 0
    return Rendered(slot=slot, message=one_of(messages, slot, items, method.label), policy=policy)


def _check_kind(names: Names, slot: Slot) -> None:
    """What a wait or a sleep returns means something else than what a task's method returns."""
    became = names.became(slot.step) if slot.direction is Direction.ACTION else None
    if became is not None:
        was = WORDS[names.plan.by_name[slot.step].kind]
        raise DefinitionError(
            f"step {slot.step!r} of {names.definition.label} was {was} when this saga was started, and is "
            f"{WORDS[became]} now; give what it is now another name, and put {slot.step!r} back"
        )


def _check_skip(activity: Activity, slot: Slot) -> None:
    if slot.direction is Direction.PROBE:
        raise DefinitionError(f"{activity.method.label} returned SKIP; a probe has to ask")
    if not activity.method.may_skip:
        raise DefinitionError(f"{activity.method.label} returned SKIP; annotate it `-> Signature[X] | Skip`")


def _aborted(names: Names, slot: Slot, abort: Abort) -> News:
    if slot.direction is Direction.ACTION:
        return RenderAborted(slot=slot, reason=abort.reason)
    label = _looked_up(names, slot)[1].method.label
    return RenderFailed(slot=slot, failure=failure_of(_no_abort(label, abort), step=slot.step))


def _no_abort(label: str, abort: Abort) -> DefinitionError:
    return DefinitionError(f"{label} raised Abort ({abort.reason}); only a step can turn its saga round")
