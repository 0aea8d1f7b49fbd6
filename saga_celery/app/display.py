"""What people get to see of stored values: sealed ones opened, large ones only named, and nothing that is redacted.

Programs get values as they are; this is for screens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from saga_celery.engine.packed import APART, is_packed
from saga_celery.engine.payloads import Payloads
from saga_celery.engine.redaction import Redaction
from saga_celery.errors import PayloadUnreadable, StoreError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """Prepares values, states and facts for a screen."""

    payloads: Payloads
    redaction: Redaction
    whole: bool = False
    """Values that are kept apart are read, too."""

    def shown(self, saga_id: str, record: T) -> T:
        """A copy of a value, or of a dataclass with values in it, as it may be shown.

        What can not be opened stays packed: to look at a saga must not fail for what ails it.

        Args:
            saga_id: the saga that it belongs to.
            record: plain JSON, a state, a fact, a dead letter …
        """
        found: T = self.redaction.record(record, lambda value: self._opened(saga_id, value))
        return found

    def told(self, saga_id: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """What a hook is told, as it may be shown."""
        opened = {name: self._opened(saga_id, value) for name, value in payload.items()}
        found: dict[str, Any] = self.redaction.value(opened)
        return found

    def _opened(self, saga_id: str, value: Any) -> Any:
        if not is_packed(value) or (APART in value and not self.whole):
            return value
        try:
            return self.payloads.opened(saga_id, value)
        except (PayloadUnreadable, StoreError):
            return value
