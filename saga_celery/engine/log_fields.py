"""What log records tell besides their text: which saga they are about, under names that are the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saga_celery.core.states import SagaState, Slot

SAGA_ID = "saga_id"
SAGA_NAME = "saga_name"
STEP = "saga_step"
ITEM = "saga_item"
DIRECTION = "saga_direction"
ATTEMPT = "saga_attempt"
CORRELATION_ID = "correlation_id"
FIELDS = (SAGA_ID, SAGA_NAME, STEP, ITEM, DIRECTION, ATTEMPT, CORRELATION_ID)
"""Every field. They are the names of the messages' headers, too."""


def about(
    saga_id: str,
    name: str | None = None,
    *,
    slot: Slot | None = None,
    attempt: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The `extra` of a log record; what is not known is left out.

    Args:
        saga_id: the saga.
        name: its name.
        slot: the activity.
        attempt: the attempt of it.
        headers: those that were stored at the start.
    """
    place = {} if slot is None else {STEP: slot.step, ITEM: slot.item, DIRECTION: slot.direction.value}
    told = {SAGA_ID: saga_id, SAGA_NAME: name, **place, ATTEMPT: attempt}
    told[CORRELATION_ID] = (headers or {}).get(CORRELATION_ID)
    return {field: value for field, value in told.items() if value is not None}


def about_state(state: SagaState, *, slot: Slot | None = None, attempt: int | None = None) -> dict[str, Any]:
    """The same of a saga that is at hand."""
    return about(state.id, state.name, slot=slot, attempt=attempt, headers=state.headers)
