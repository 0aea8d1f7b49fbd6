"""What a message shows of its arguments: in logs, in events, and so in Flower. Celery would show them as they are."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from celery import Celery, signals
from celery.utils.saferepr import saferepr

from saga_celery.engine.redaction import HIDDEN, Redaction
from saga_celery.transport import wire

MOST_PARTS = 500
"""Parts of an argument that are looked at; Celery cuts the text off at 1024 characters anyway."""
LONGEST = 1024
"""Characters of either text."""
PLACE = ("saga_id", "saga_name", wire.STEP, wire.ITEM, wire.DIRECTION, wire.ATTEMPT)
"""The headers that are shown before the arguments, as if they were some, for monitors show and search nothing else."""


def shown_call(
    task: Any | None,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    redaction: Redaction,
    headers: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The headers by which Celery shows arguments.

    Args:
        task: the task, where it is registered here: it tells the names of the positional arguments.
        args: its positional arguments.
        kwargs: the others.
        redaction: tells what is hidden.
        headers: those of the message, which tell its place in its saga; None: it has none.
    """
    place = {name: headers[name] for name in PLACE if name in headers} if headers else {}
    names = parameters_of(task)
    named = zip(args, [*names, *[""] * len(args)], strict=False)
    hidden = [HIDDEN if redaction.hides(name) else each for each, name in named]
    return {
        "argsrepr": _text(redaction.value(tuple(hidden), most=MOST_PARTS), LONGEST),
        "kwargsrepr": _behind(place, redaction.value(_others(kwargs, place), most=MOST_PARTS)),
    }


def _others(kwargs: Mapping[str, Any], place: Mapping[str, Any]) -> dict[str, Any]:
    """A task's own argument of the same name does not pass for the saga's."""
    return {name: value for name, value in kwargs.items() if name not in place}


def _behind(place: Mapping[str, Any], kwargs: dict[str, Any]) -> str:
    """The place is short and plain, so the slow representation that bounds and cuts is spared it."""
    front = ", ".join(f"{name!r}: {value!r}" for name, value in place.items())[: LONGEST * 3 // 4]
    shown = _text(kwargs, LONGEST - len(front))
    return f"{{{front}, {shown[1:]}" if front and kwargs else f"{{{front}{shown[1:]}"


def _text(value: Any, longest: int) -> str:
    """The slow representation is for what is large or deep, and most arguments are neither."""
    parts = value if isinstance(value, tuple) else (*value, *value.values())
    if all(map(_is_plain, parts)) and len(text := repr(value)) <= longest:
        return text
    shown: str = saferepr(value, maxlen=longest)
    return shown


def _is_plain(part: Any) -> bool:
    """Whether Python shows it as Celery does, which leaves the special characters of a text as they are."""
    return type(part) in _PLAIN or (type(part) is str and part.isprintable() and not _SPECIAL.intersection(part))


_PLAIN = frozenset({int, float, bool, type(None)})
_SPECIAL = frozenset("'\"\\")


def parameters_of(task: Any | None) -> tuple[str, ...]:
    """The names of a task's positional parameters; none where it is not registered here."""
    return _names(task.run) if task is not None else ()


@lru_cache(maxsize=1024)
def _names(function: Any) -> tuple[str, ...]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(each.name for each in parameters if each.kind in positional)


def redact_retries(celery: Celery, redaction: Any) -> None:
    """A task that puts itself back with `retry()` makes its message anew; its arguments are shown redacted as well.

    Args:
        celery: the user's app.
        redaction: gives the redaction, once it is needed.
    """

    def before_publish(sender: Any = None, headers: Any = None, body: Any = None, **_: Any) -> None:
        if not headers or not headers.get("retries") or not wire.is_delivery(headers):
            return
        args, kwargs, *_rest = body
        headers.update(shown_call(celery.tasks.get(sender), args, kwargs, redaction(), headers))

    signals.before_task_publish.connect(before_publish, weak=False)
