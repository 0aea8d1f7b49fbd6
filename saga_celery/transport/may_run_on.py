"""Which message the process that would send it may run itself, right away, instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import Celery, Task

from saga_celery.core.states import Message
from saga_celery.engine.ports import Outgoing
from saga_celery.transport.permits import Permit

_OF_THE_BROKER = ("exchange", "routing_key", "expires", "time_limit")
"""Options of a message whose meaning is lost when it never goes out."""


def is_wanted(message: Outgoing, setting: str) -> bool:
    """Tell whether step, saga and app would have it run on.

    Args:
        message: the message. Of its first delivery only: a copy has to be weighed against those that went before.
        setting: `saga_run_on`, which holds where neither step nor saga says anything.
    """
    if setting == "never" or message.resends > 0:
        return False
    if message.run_on is not None:
        return message.run_on
    return setting == "safe" and message.safe


def can_run(message: Message, options: Mapping[str, Any], permit: Permit, celery: Celery) -> bool:
    """Tell whether the task can be run here as if its message had come: what only the worker's main process does for a
    message is not needed.

    Args:
        message: the message.
        options: what it would be sent with, those of the task included.
        permit: of the message at hand.
        celery: the user's app.
    """
    task: Any = celery.tasks.get(message.task)
    return (
        task is not None
        and message.task not in permit.apart
        and all(options.get(name) is None for name in _OF_THE_BROKER)
        and (task.Request, task.Strategy) == (Task.Request, Task.Strategy)
    )
