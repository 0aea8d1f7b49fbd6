"""The policy that is stored with a message: the step's options, and where they are silent the defaults."""

from __future__ import annotations

from saga_celery.core.retry import Retry
from saga_celery.core.states import Direction, Policy
from saga_celery.definition.definitions import StepDefinition
from saga_celery.definition.options import Options, fatal_names, seconds
from saga_celery.settings import Settings

PERSISTENT = Retry(attempts=10)
"""Default of compensations and probes: giving up leaves work for a person."""
ONCE = Retry(attempts=1)
"""Default of an action of which nobody said that it is safe to run twice."""


def policy_of(
    step: StepDefinition, direction: Direction, *, keyed: bool, run_on: bool | None, settings: Settings
) -> Policy:
    """The policy of a message that was just rendered.

    Args:
        step: the step.
        direction: which activity of it.
        keyed: the message carries its idempotency key.
        run_on: what the saga says of its steps.
        settings: the defaults of the app.
    """
    options = _options(step, direction)
    undo = step.compensation
    return policy_from(
        options,
        direction,
        resend=keyed or is_idempotent(step, options),
        null_safe=undo is not None and undo.options.null_safe,
        needs_result=undo is not None and step.name in undo.method.takes,
        probe=step.probe is not None,
        limit=options.limit,
        run_on=_first_said(options.run_on, step.action.options.run_on, run_on),
        settings=settings,
    )


def policy_from(
    options: Options,
    direction: Direction,
    *,
    resend: bool,
    null_safe: bool,
    needs_result: bool,
    probe: bool = False,
    limit: int | None = None,
    run_on: bool | None = None,
    settings: Settings,
) -> Policy:
    """The policy of a message whose options and surroundings are known.

    Args:
        options: of the activity itself.
        direction: which activity of the step.
        resend: safe to run twice.
        null_safe: the step's compensation may run without a result.
        needs_result: the step's compensation takes its result.
        probe: the step has a probe.
        limit: how many items of a fan-out may be under way at once.
        run_on: the process that would send the message may run it; None: as the app's setting says.
        settings: the defaults of the app.
    """
    return Policy(
        retry=options.retry or _default_retry(direction, resend),
        timeout=settings.step_timeout if options.timeout is None else seconds(options.timeout),
        queue_grace=settings.queue_grace if options.queue_grace is None else seconds(options.queue_grace),
        settle_delay=settings.settle_delay if options.settle_delay is None else seconds(options.settle_delay),
        resend=resend,
        null_safe=null_safe,
        needs_result=needs_result,
        probe=probe,
        fatal=fatal_names(options.fatal),
        wait=None if options.wait is None else seconds(options.wait),
        skippable=options.skippable,
        limit=limit,
        run_on=run_on,
    )


def _first_said(*answers: bool | None) -> bool | None:
    return next((each for each in answers if each is not None), None)


def _options(step: StepDefinition, direction: Direction) -> Options:
    return (step.activity(direction) or step.action).options


def is_idempotent(step: StepDefinition, options: Options) -> bool:
    """Tell whether an activity was declared safe to run twice; where it does not say, its step says it."""
    return bool(step.action.options.idempotent if options.idempotent is None else options.idempotent)


def _default_retry(direction: Direction, resend: bool) -> Retry:
    if direction is not Direction.ACTION:
        return PERSISTENT
    return Retry() if resend else ONCE
