"""From a Celery signature to the message that is stored: one plain task, JSON arguments, known options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from celery.canvas import Signature

from saga_celery.core.states import Message
from saga_celery.definition.arguments import plain_arguments
from saga_celery.definition.payloads import NotPlain, check_arguments_open, check_payload
from saga_celery.errors import DefinitionError

KEPT_OPTIONS = (
    "queue",
    "routing_key",
    "exchange",
    "priority",
    "serializer",
    "compression",
    "time_limit",
    "soft_time_limit",
)
"""Options of a signature that go into its message; any other is refused."""

_TIMERS = "times of a saga live in its database: use the step's retry= or timeout="
_REFUSED = {
    "link": "what runs next is the next step of the saga",
    "link_error": "what runs on failure is the step's compensation",
    "chord": "use parallel() and a step below it",
    "eta": _TIMERS,
    "countdown": _TIMERS,
    "expires": _TIMERS,
    "headers": "headers are given to start() and travel with every message",
    "task_id": "the saga gives every message its id",
}


def message_from(answer: object, where: str, limit: int) -> Message:
    """Make the message of what a method returned.

    Args:
        answer: a plain, immutable task signature.
        where: class and method, for the error.
        limit: most bytes of the arguments as JSON text.

    Raises:
        DefinitionError: it is something else, or has arguments or options that can not be stored.
        InputRejected: the arguments are too large.
    """
    signature = _plain_signature(answer, where)
    _check_arguments(signature, where)
    args, kwargs = _plain_arguments(signature, where, limit)
    return Message(task=signature["task"], args=tuple(args), kwargs=kwargs, options=_options(signature, where))


def _plain_signature(answer: object, where: str) -> Signature[Any]:
    if not isinstance(answer, Signature):
        raise DefinitionError(f"{where} returned {_kind(answer)}; {_instead(answer)}")
    if type(answer) is not Signature or answer.get("subtask_type"):
        raise DefinitionError(
            f"{where} returned a {type(answer).__name__.strip('_')}; canvas is refused, as the saga decides what "
            "runs when: make each part a step, and let steps run side by side with parallel()"
        )
    if not answer.get("immutable"):
        raise DefinitionError(f"{where} returned a partial signature: use .si() in place of .s()")
    if not isinstance(answer.get("task"), str) or not answer["task"]:
        raise DefinitionError(f"{where} returned a signature without the name of a task")
    return answer


def _kind(answer: object) -> str:
    return "None" if answer is None else f"a {type(answer).__name__}"


def _instead(answer: object) -> str:
    if isinstance(answer, list | tuple):
        return "to run a list, annotate the step `-> list[Signature[X]]`; else return one signature"
    if type(answer).__name__ in ("AsyncResult", "EagerResult"):
        return "the task was sent already: return .si(…), and leave sending to the saga"
    if type(answer).__name__ == "SagaHandle":
        return "the saga was started already: return OtherSaga.si(data), and annotate the step `-> Child[X]`"
    if type(answer).__name__ == "Child":
        return "annotate the step `-> Child[X]`; sagas that were started before that go on once it runs a task again"
    return "return the signature to run: task.si(…) or self.task('name', …)"


def _check_arguments(signature: Signature[Any], where: str) -> None:
    problem = misfit(signature, signature["args"], signature["kwargs"])
    if problem is not None:
        raise DefinitionError(
            f"{where} returned a signature of {signature['task']} that does not fit it: {problem}"
        ) from problem


def misfit(signature: Signature[Any], args: Iterable[Any], kwargs: Mapping[str, Any]) -> TypeError | None:
    """Count arguments as `apply_async` would; a task known by name only is counted by its worker.

    Args:
        signature: of the task.
        args: what it is to be called with.
        kwargs: and by name.
    """
    task: Any = getattr(signature, "_type", None)
    header = getattr(task, "__header__", None)
    if header is None or not getattr(task, "typing", False):
        return None
    try:
        header(*args, **kwargs)
    except TypeError as error:
        return error
    return None


def _plain_arguments(signature: Signature[Any], where: str, limit: int) -> tuple[list[Any], dict[str, Any]]:
    try:
        args, kwargs = plain_arguments(signature["args"], signature["kwargs"])
        check_payload([args, kwargs], f"{where}: the arguments of {signature['task']}", limit)
        check_arguments_open(args, kwargs, f"{where}: an argument of {signature['task']}")
    except NotPlain as error:
        raise DefinitionError(f"{where}: the arguments of {signature['task']} are no plain JSON: {error}") from error
    return args, kwargs


def _options(signature: Signature[Any], where: str) -> Mapping[str, Any]:
    options: dict[str, Any] = signature.get("options") or {}
    for name, value in options.items():
        if name not in KEPT_OPTIONS:
            why = _REFUSED.get(name, f"known are: {', '.join(KEPT_OPTIONS)}")
            raise DefinitionError(f"{where}: the option {name!r} of {signature['task']} is refused: {why}")
        if not isinstance(value, str | int | float | None):
            raise DefinitionError(
                f"{where}: the option {name!r} of {signature['task']} is {_kind(value)}; give its name as text"
            )
    if options.get("serializer", "json") != "json":
        raise DefinitionError(f"{where}: the serializer {options['serializer']!r} is refused: sagas speak JSON only")
    return dict(options)
