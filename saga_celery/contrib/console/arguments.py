"""What the task of a step is called with, as it may be shown and changed on a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saga_celery.app import SagaApp
from saga_celery.core.states import Message
from saga_celery.engine.packed import is_packed
from saga_celery.engine.redaction import HIDDEN
from saga_celery.transport.shown import parameters_of


def arguments(app: SagaApp, saga_id: str, message: Message) -> dict[str, Any]:
    """The arguments of a message.

    What an argument is called tells whether it may be shown. Where this process does not know the task, nobody can tell
    of those without a name; they are left out.

    Args:
        app: knows the tasks.
        saga_id: the saga.
        message: redacted as far as names go.

    Returns:
        `task`; `args` and `kwargs`, each entry with its `name`, its `value`, whether something of that is `hidden`, and
        whether it is an idempotency `key`, which a retry with other arguments makes anew; `args` is None where they are
        left out.
    """
    names = parameters_of(app.celery.tasks.get(message.task))
    placed = [_entry(saga_id, name, value) for name, value in zip(names, message.args, strict=False)]
    return {
        "task": message.task,
        "args": placed if len(placed) == len(message.args) else None,
        "kwargs": [_entry(saga_id, name, value) for name, value in message.kwargs.items()],
    }


def is_hidden(value: Any) -> bool:
    """Tell whether something in a value is not shown, so that what is shown must not be sent back."""
    if isinstance(value, Mapping):
        return bool(is_packed(value)) or any(map(is_hidden, value.values()))
    if isinstance(value, list | tuple):
        return any(map(is_hidden, value))
    return value == HIDDEN  # type: ignore[no-any-return]


def _entry(saga_id: str, name: str, value: Any) -> dict[str, Any]:
    is_key = isinstance(value, str) and value.startswith(f"{saga_id}:")
    return {"name": name, "value": value, "hidden": is_hidden(value), "key": is_key}
