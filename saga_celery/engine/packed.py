"""Packed values: what stands in a saga's rows, facts and messages for a value that does not lie open there.

A packed value is plain JSON like any other, so the core, the tables and the broker carry it without knowing. It is
*sealed* (the codec's text stands in place) or kept *apart* (the payload store has it, and its hash stands in place).
Only whole values are packed: an input, a result, one argument of a message; never a part of one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from saga_celery.errors import PayloadUnreadable

SEALED = "$saga_sealed"
APART = "$saga_payload"

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A value that is kept apart."""

    digest: str
    """SHA-256 of what the payload store holds; with the saga's id it is the address there (content addressing)."""
    size: int
    """Bytes of the value as JSON text."""
    sealed: bool = False
    """What the store holds is a seal, too."""

    def plain(self) -> dict[str, Any]:
        """What stands in place of the value."""
        return {APART: {"sha256": self.digest, "size": self.size, **({"sealed": True} if self.sealed else {})}}


def is_packed(value: Any) -> bool:
    """Tell whether something stands for a value; data of users never look like that, for they are refused."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in (SEALED, APART)


def reference_in(value: Any) -> Reference | None:
    """The reference that stands in place of a value; None where there is none.

    Raises:
        PayloadUnreadable: something else stands in its place, which nobody of us wrote.
    """
    if not is_packed(value) or APART not in value:
        return None
    written = value[APART]
    digest, size = (written.get("sha256"), written.get("size")) if isinstance(written, dict) else (None, None)
    if not isinstance(digest, str) or not _DIGEST.match(digest) or not isinstance(size, int):
        raise PayloadUnreadable("what stands in place of a payload is no reference")
    return Reference(digest=digest, size=size, sealed=bool(written.get("sealed")))
