"""A hook in its worker's hands: the task runs as always, and that it ran to its end is told."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from saga_celery.errors import MessageNotUnderstood, PublishFailed, StoreError
from saga_celery.transport import wire
from saga_celery.transport.patience import hold
from saga_celery.transport.reports import HookEnded
from saga_celery.transport.runtime import Runtime
from saga_celery.transport.wire import HookMessage

logger = logging.getLogger("saga_celery")

PATIENCE = 5.0
"""Seconds for which a worker tries to tell that a hook ended; what stays untold is sent again, as hooks must bear."""


def attend(
    runtime: Runtime, request: Any, body: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Run a hook, and tell when it has run to its end; one that raises is not told, and so is sent again.

    Args:
        runtime: this process.
        request: the task's request.
        body: the task's own code.
        args: its arguments; the payload comes first, and what is sealed in it is opened.
        kwargs: the others.

    Returns:
        What the body returned; None when the message is not understood.
    """
    try:
        message = wire.hook_from(request.headers)
    except MessageNotUnderstood as error:
        wire.drop(f"message {request.id} of hook {request.task}", error)
        return None
    result = body(*(runtime.payloads.opened_parts(message.saga_id, each) for each in args), **kwargs)
    _confirm(runtime, message)
    return result


def _confirm(runtime: Runtime, message: HookMessage) -> None:
    """The body took effect, so nothing that goes wrong here may make its task look failed."""
    what = f"the end of the hook for event {message.event_id} of saga {message.saga_id}"
    until = time.monotonic() + PATIENCE
    try:
        hold(lambda: _tell(runtime, message), until=until, on=(StoreError, PublishFailed), what=what)
    except Exception:
        logger.exception("%s could not be noted; it will come again", what)


def _tell(runtime: Runtime, message: HookMessage) -> None:
    if runtime.has_store:
        runtime.hook_ended(message.event_id)
    else:
        runtime.transport.report(message.report_to, message.saga_id, HookEnded(event_id=message.event_id))
