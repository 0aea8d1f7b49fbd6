"""What the parts of a chain are made of: an action, what undoes it, and how their attempts are treated."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from celery.canvas import Signature

from saga_celery.core.retry import Retry
from saga_celery.definition.chain_signatures import check_signature, shown
from saga_celery.definition.option_checks import problems_of
from saga_celery.definition.options import Fatal, Options, Seconds, fatal_names, seconds
from saga_celery.errors import DefinitionError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChainCompensation:
    """What undoes a step of a chain; made by `compensation`, or of a bare signature."""

    signature: Signature[Any]
    options: Options = field(default_factory=Options)
    key_argument: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChainStep:
    """One step of a chain; made by `saga_step`, or of a bare signature."""

    action: Signature[Any]
    compensation: ChainCompensation | None = None
    name: str = ""
    """Empty: that of the task."""
    options: Options = field(default_factory=Options)
    key_argument: str = ""


def saga_step(
    action: Signature[Any],
    compensation: Signature[Any] | ChainCompensation | None = None,
    *,
    name: str = "",
    retry: Retry | None = None,
    timeout: Seconds | None = None,
    queue_grace: Seconds | None = None,
    idempotent: bool = False,
    fatal: Fatal = (),
    pivot: bool = False,
    key_argument: str = "",
    run_on: bool | None = None,
) -> ChainStep:
    """A step of a `saga_chain` with options. Without any, the pair `(action, compensation)` says the same.

    Args:
        action: the task to run; `.s(…)` takes the previous result as its first argument, `.si(…)` does not.
        compensation: what undoes it; `.s(…)` takes the action's own result. None: there is nothing to undo.
        name: of the step; default the last part of the task's name.
        retry: default `Retry()` when the task is safe to run twice, else a single attempt.
        timeout: seconds of one run, after which its outcome counts as unknown; default `saga_step_timeout`.
        queue_grace: seconds until an unanswered message is sent again; default `saga_queue_grace`.
        idempotent: the task is safe to run twice.
        fatal: exceptions that no retry can mend, as types or names.
        pivot: the point of no return; once this step succeeded the saga only goes forward.
        key_argument: name of the task's argument that takes the idempotency key; it makes the task safe to run twice.
        run_on: the process that would send its message may run it itself, right away and without the broker; default
            `saga_run_on`.

    Raises:
        DefinitionError: it can not be a step; says why and what to write.
    """
    check_signature(action, "saga_step")
    where = f"saga_step({shown(action)})"
    options = Options(
        retry=retry,
        timeout=timeout,
        queue_grace=queue_grace,
        idempotent=idempotent,
        fatal=fatal,
        pivot=pivot,
        run_on=run_on,
    )
    return ChainStep(
        action=action,
        compensation=None if compensation is None else as_compensation(compensation, where),
        name=_checked_name(name, where),
        options=_plain(options, where),
        key_argument=_checked_key_argument(key_argument, where),
    )


def compensation(
    signature: Signature[Any],
    *,
    retry: Retry | None = None,
    timeout: Seconds | None = None,
    queue_grace: Seconds | None = None,
    idempotent: bool | None = None,
    fatal: Fatal = (),
    null_safe: bool = False,
    key_argument: str = "",
    run_on: bool | None = None,
) -> ChainCompensation:
    """A compensation with options. Without any, the bare signature says the same.

    Args:
        signature: the task that undoes; `.s(…)` takes the action's result as its first argument, `.si(…)` does not.
        retry: default ten attempts.
        timeout: seconds of one run; default the setting `saga_step_timeout`.
        queue_grace: seconds until an unanswered message is sent again; default the setting `saga_queue_grace`.
        idempotent: safe to run twice; default what the step itself says.
        fatal: exceptions that no retry can mend.
        null_safe: may also run without a result, when nobody knows whether the step took effect; `.s(…)` takes None
            then.
        key_argument: name of the task's argument that takes the idempotency key; it makes the task safe to run twice.
        run_on: the process that would send its message may run it itself, right away; default what the step says.

    Raises:
        DefinitionError: it can not be a compensation; says why and what to write.
    """
    check_signature(signature, "compensation")
    where = f"compensation({shown(signature)})"
    options = Options(
        retry=retry,
        timeout=timeout,
        queue_grace=queue_grace,
        idempotent=idempotent,
        fatal=fatal,
        null_safe=null_safe,
        run_on=run_on,
    )
    return ChainCompensation(
        signature=signature,
        options=_plain(options, where),
        key_argument=_checked_key_argument(key_argument, where),
    )


def as_compensation(given: object, where: str) -> ChainCompensation:
    """What stands in the place of a compensation.

    Raises:
        DefinitionError: it can not be one.
    """
    if isinstance(given, ChainCompensation):
        return given
    return ChainCompensation(signature=check_signature(given, f"{where}, its compensation"))


def _plain(options: Options, where: str) -> Options:
    """Options as they can be stored: numbers of seconds, names of exceptions."""
    for problem in problems_of(options):
        raise DefinitionError(f"{where}: {problem}")
    return replace(
        options,
        timeout=None if options.timeout is None else seconds(options.timeout),
        queue_grace=None if options.queue_grace is None else seconds(options.queue_grace),
        fatal=fatal_names(options.fatal),
    )


LONGEST_STEP_NAME = 100


def _checked_name(name: object, where: str) -> str:
    if name == "":
        return ""
    if not isinstance(name, str) or not name.isascii() or not name.isidentifier() or len(name) > LONGEST_STEP_NAME:
        raise DefinitionError(
            f"{where}: name={name!r}; use letters, digits and _, no digit in front, {LONGEST_STEP_NAME} at most"
        )
    return name


def _checked_key_argument(name: object, where: str) -> str:
    if not isinstance(name, str) or (name and not name.isidentifier()):
        raise DefinitionError(f"{where}: key_argument={name!r}; it is the name of one of the task's arguments, as text")
    return name
