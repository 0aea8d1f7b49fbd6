"""An exception, turned into data that travels and is stored."""

from __future__ import annotations

import traceback

from saga_celery.core.states import Failure

LONGEST_MESSAGE = 2000
LONGEST_TRACEBACK = 4000
MOST_LINES = 20
LONGEST_NAME = 200
MOST_TYPES = 40


def failure_of(error: BaseException, *, step: str = "") -> Failure:
    """What is kept of an exception that a task, or the code of a saga, raised.

    An exception that stands for an earlier one (see the barrier) brings that one's names along as
    `saga_failure_type` and `saga_failure_types`, so that `fatal=` matches them.

    Args:
        error: what was raised.
        step: where; empty for the saga as a whole.
    """
    return Failure(
        type=getattr(error, "saga_failure_type", "") or _dotted(type(error))[:LONGEST_NAME],
        message=_message(error),
        types=tuple(getattr(error, "saga_failure_types", ())) or _names(type(error)),
        traceback=_traceback(error),
        step=step,
    )


def failure_named(name: str, message: str, *, step: str) -> Failure:
    """A failure for which nothing was raised."""
    dotted = f"saga_celery.{name}"
    return Failure(type=dotted, message=message[:LONGEST_MESSAGE], types=(dotted, name), step=step)


def _names(kind: type[BaseException]) -> tuple[str, ...]:
    """Dotted and bare names of the type and its ancestors, `Exception` being the last."""
    ancestors = [each for each in kind.__mro__ if each not in (BaseException, object)]
    names = [name[:LONGEST_NAME] for each in ancestors for name in (_dotted(each), each.__name__)]
    return tuple(dict.fromkeys(names))[:MOST_TYPES]


def _dotted(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)[:LONGEST_MESSAGE]
    except Exception:  # a `__str__` that raises must not hide the failure itself
        return "(the exception can not be printed)"


def _traceback(error: BaseException) -> str:
    """The last lines: those that are nearest to the cause."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(lines[-MOST_LINES:])[-LONGEST_TRACEBACK:]
