"""Log records that tell their saga, step and attempt: those of the library, and your own within a step.

handler.addFilter(SagaFields())
handler.setFormatter(logging.Formatter("%(levelname)s [%(saga_id)s %(saga_step)s] %(message)s"))
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from celery._state import get_current_worker_task

from saga_celery.engine.log_fields import FIELDS, SAGA_ID

__all__ = ["SagaFields", "saga_fields"]


def saga_fields() -> dict[str, Any]:
    """What the task that runs here now belongs to.

    Returns:
        `saga_id`, `saga_name`, `saga_step`, `saga_item` (0 where the step has no items), `saga_direction` (action,
        compensation or probe), `saga_attempt` and, where the saga was started with one, `correlation_id`. Of a hook
        only the first two, and the last. Empty outside of sagas.
    """
    task = get_current_worker_task()
    headers: Mapping[str, Any] = (task.request.headers or {}) if task is not None else {}
    if SAGA_ID not in headers:
        return {}
    return {name: headers[name] for name in FIELDS if headers.get(name) is not None}


class SagaFields(logging.Filter):
    """Adds the fields of `saga_fields()` to every record that passes; lets all of them through.

    A field that is not known is empty text, so that a format string may name it. What a record brings along stays.
    Give it to a handler: a filter of a logger does not see what comes from the loggers below.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields."""
        found, brought = saga_fields(), record.__dict__
        if brought.get(SAGA_ID, found.get(SAGA_ID)) != found.get(SAGA_ID):
            found = {}  # a worker that runs a step of one saga may well speak of another
        for name in FIELDS:
            brought.setdefault(name, found.get(name, ""))
        return True


_own = SagaFields()


def tell_own_records() -> None:
    """Add the fields to what the library logs; a second call does nothing."""
    logging.getLogger("saga_celery").addFilter(_own)
