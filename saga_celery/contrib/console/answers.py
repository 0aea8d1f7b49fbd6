"""What an error of the library is to a browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from saga_celery.errors import EventConflict, InputRejected, Refused, SagaError, SagaNotFound, StoreUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An answer that is none."""

    status: int
    body: dict[str, Any]


_STATUS: tuple[tuple[type[SagaError], int], ...] = (
    (SagaNotFound, 404),
    (InputRejected, 400),
    (Refused, 409),
    (EventConflict, 409),
    (StoreUnavailable, 503),
)


def problem(error: SagaError) -> Problem:
    """The HTTP status of an error, and a sentence with its stable code."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return Problem(status=status, body={"error": error.code, "message": str(error)})
