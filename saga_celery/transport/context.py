"""Trace and correlation headers: taken down at `start()`, put back on every message of the saga."""

from __future__ import annotations

from collections.abc import Mapping

from celery import Celery

from saga_celery.settings import Settings

LONGEST = 8192
"""Characters of one header; baggage may have so many (W3C Baggage, 3.3.2)."""


def capture(celery: Celery, settings: Settings) -> dict[str, str]:
    """The headers of the task that is running now, as far as `saga_context_headers` names them; else none."""
    task = celery.current_worker_task
    headers: Mapping[str, object] = (task.request.headers or {}) if task is not None else {}
    return {
        name: value
        for name in settings.context_headers
        if isinstance(value := headers.get(name), str) and len(value) <= LONGEST
    }
