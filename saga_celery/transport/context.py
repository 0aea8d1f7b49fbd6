"""Trace and correlation headers: taken down at `start()`, put back on every message of the saga."""

from __future__ import annotations

from collections.abc import Mapping

from celery import Celery

from saga_celery.settings import Settings
from saga_celery.transport.tracing import begun

LONGEST = 8192
"""Characters of one header; baggage may have so many (W3C Baggage, 3.3.2)."""


def headers_to_store(
    celery: Celery, settings: Settings, saga_name: str, given: Mapping[str, str] | None
) -> Mapping[str, str]:
    """What a new saga keeps.

    Args:
        celery: the user's app.
        settings: the checked configuration.
        saga_name: the saga.
        given: what `start()` was given, which stays as it is; None: what the surroundings have.
    """
    if given is not None:
        return {**_allowed(begun(saga_name, given, given=True), settings), **given}
    return _allowed(begun(saga_name, capture(celery, settings), given=False), settings)


def capture(celery: Celery, settings: Settings) -> dict[str, str]:
    """The headers of the task that is running now, as far as `saga_context_headers` names them; else none."""
    task = celery.current_worker_task
    return _allowed(task.request.headers or {}, settings) if task is not None else {}


def _allowed(headers: Mapping[str, object], settings: Settings) -> dict[str, str]:
    if not headers:
        return {}
    return {
        name: value
        for name in settings.context_headers
        if isinstance(value := headers.get(name), str) and len(value) <= LONGEST
    }
