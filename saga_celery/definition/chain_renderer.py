"""The renderer of chains: puts results into the messages that are stored with the saga. It runs no code of a user."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from saga_celery.core.commands import Render, RenderResult
from saga_celery.core.events import News, Rendered, RenderFailed, ResultRendered
from saga_celery.core.plan import Plan
from saga_celery.core.states import Direction, Message, Policy, SagaState, Slot
from saga_celery.definition.chain_script import ScriptedMessage, ScriptedStep, Takes, result_of, step_of
from saga_celery.definition.keys import slot_key
from saga_celery.definition.opening import Opener, opened_of, unpacked
from saga_celery.definition.payloads import check_arguments_open, check_payload
from saga_celery.definition.policies import policy_from
from saga_celery.engine.failures import failure_of
from saga_celery.errors import PayloadUnavailable
from saga_celery.settings import Settings


class ChainRenderer:
    """Renders what `saga_chain` started, in any process.

    Args:
        settings: defaults of policies, and the largest payload.
        opener: opens what is packed.
    """

    def __init__(self, settings: Settings, opener: Opener = unpacked) -> None:
        self._settings = settings
        self._opener = opener

    def render(self, plan: Plan, state: SagaState, wish: Render | RenderResult) -> News:
        """Make the message, or the result, of what is stored.

        Args:
            plan: the graph of the chain.
            state: the saga; its input is the script.
            wish: which message, or the result.

        Raises:
            PayloadUnavailable: the payload store does not answer.
        """
        slot = wish.slot if isinstance(wish, Render) else None
        try:
            state = self._opened(plan, state, slot)
            return self._result(plan, state) if slot is None else self._message(plan, state, slot)
        except PayloadUnavailable:
            raise
        except Exception as error:
            return RenderFailed(slot=slot, failure=failure_of(error, step=slot.step if slot else ""))

    def _opened(self, plan: Plan, state: SagaState, slot: Slot | None) -> SagaState:
        """The script, and the results that this message or the saga's result is made of."""
        if slot is None:
            waited_for = {earlier for step in plan.steps for earlier in step.after}
            taken = {step.name for step in plan.steps} - waited_for
        else:
            taken = {slot.step, *plan.by_name[slot.step].after}
        return opened_of(state, taken, self._opener)

    def _result(self, plan: Plan, state: SagaState) -> News:
        waited_for = {earlier for step in plan.steps for earlier in step.after}
        last = [step.name for step in plan.steps if step.name not in waited_for]
        result = _result_of(state, last, result_of(state.input))[0]
        check_payload(result, f"the result of {state.name}", self._settings.payload_limit)
        return ResultRendered(result=result)

    def _message(self, plan: Plan, state: SagaState, slot: Slot) -> News:
        step = step_of(state.input, slot.step)
        forward = slot.direction is Direction.ACTION
        scripted = step.action if forward else _undo(step, slot)
        given = _result_of(state, plan.by_name[slot.step].after if forward else (slot.step,), scripted.takes)
        message = _filled(scripted, given, slot_key(state.id, slot))
        what = f"{state.name}, step {slot.step}: the arguments of {message.task}"
        check_payload([message.args, dict(message.kwargs)], what, self._settings.payload_limit)
        check_arguments_open(message.args, message.kwargs, what)
        return Rendered(slot=slot, message=message, policy=self._policy(step, slot.direction))

    def _policy(self, step: ScriptedStep, direction: Direction) -> Policy:
        undo = step.compensation
        scripted = undo if undo is not None and direction is Direction.COMPENSATION else step.action
        idempotent = scripted.options.idempotent
        safe = step.action.options.idempotent if idempotent is None else idempotent
        return policy_from(
            scripted.options,
            direction,
            resend=bool(scripted.key_argument) or bool(safe),
            null_safe=undo is not None and undo.options.null_safe,
            needs_result=undo is not None and undo.takes is Takes.RESULT,
            run_on=step.action.options.run_on if scripted.options.run_on is None else scripted.options.run_on,
            settings=self._settings,
        )


def _undo(step: ScriptedStep, slot: Slot) -> ScriptedMessage:
    if step.compensation is None or slot.direction is not Direction.COMPENSATION:
        raise LookupError(f"step {slot.step!r} of this chain was stored without a {slot.direction.value}")
    return step.compensation


def _result_of(state: SagaState, names: tuple[str, ...] | list[str], takes: Takes) -> tuple[Any, ...]:
    """What goes in front of the arguments: nothing, one result, or one list of results."""
    steps = [state.step(name) for name in names]
    results = [None if step is None else step.result for step in steps]
    match takes:
        case Takes.NOTHING:
            return ()
        case Takes.RESULT:
            return (results[0],)
        case _:
            return (results,)


def _filled(scripted: ScriptedMessage, given: tuple[Any, ...], key: str) -> Message:
    message = scripted.message
    kwargs = {**message.kwargs, scripted.key_argument: key} if scripted.key_argument else message.kwargs
    return replace(message, args=(*given, *message.args), kwargs=kwargs)
