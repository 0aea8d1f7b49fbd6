"""Idempotency keys: short, readable, and the same over all attempts of an activity."""

from __future__ import annotations

import hashlib

from saga_celery.core.states import Slot

LONGEST = 200
"""Characters; what payment providers and unique columns commonly take."""
_KEPT, _HASHED = 160, 32


def slot_key(saga_id: str, slot: Slot, part: str | int | None = None) -> str:
    """The key of an activity: saga, step, item, generation, direction.

    A key that would be too long keeps its beginning and ends in a hash of the whole.

    Args:
        saga_id: the saga.
        slot: the activity.
        part: what tells one of several keys of the activity from the others; None where there is one only.
    """
    text = f"{saga_id}:{slot.step}:{slot.item}:{slot.generation}:{slot.direction.value}"
    if part is not None:
        text = f"{text}:{part}"
    if len(text) <= LONGEST:
        return text
    return f"{text[:_KEPT]}:{hashlib.sha256(text.encode()).hexdigest()[:_HASHED]}"
