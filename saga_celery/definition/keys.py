"""Idempotency keys, as the saga's code gets them."""

from __future__ import annotations

from saga_celery.core.keys import LONGEST, slot_key

__all__ = ["LONGEST", "slot_key"]
