"""How a command ends: the exit codes, and what each error of the library becomes."""

from __future__ import annotations

from enum import IntEnum

import click
from kombu.exceptions import OperationalError

from saga_celery.errors import (
    AlreadyStarted,
    EventConflict,
    InputRejected,
    KeyConflict,
    Locked,
    PublishFailed,
    Refused,
    RetryTransaction,
    SagaError,
    SagaUnfinished,
    StoreUnavailable,
)


class Exit(IntEnum):
    """What a script can rely on."""

    DONE = 0
    REFUSED = 1
    """The saga's state, its key, or an event id does not allow it; `check`: open sagas would park."""
    USAGE = 2
    """The command line can not be understood (click's own code)."""
    TROUBLE = 3
    """Not found, tables behind, or trouble found."""
    OUT_OF_TIME = 4
    """`--wait` ran out."""
    UNAVAILABLE = 69
    """Database or broker unreachable (EX_UNAVAILABLE, as Celery's own commands)."""


_CODES: tuple[tuple[type[Exception], Exit], ...] = (
    (Refused, Exit.REFUSED),
    (KeyConflict, Exit.REFUSED),
    (AlreadyStarted, Exit.REFUSED),
    (Locked, Exit.REFUSED),
    (EventConflict, Exit.REFUSED),
    (InputRejected, Exit.USAGE),
    (SagaUnfinished, Exit.OUT_OF_TIME),
    (StoreUnavailable, Exit.UNAVAILABLE),
    (RetryTransaction, Exit.UNAVAILABLE),
    (PublishFailed, Exit.UNAVAILABLE),
    (OperationalError, Exit.UNAVAILABLE),
)

EXPECTED: tuple[type[Exception], ...] = (SagaError, OperationalError)
"""Errors that become one line on stderr; anything else is a bug and keeps its traceback."""


def exit_code(error: BaseException) -> Exit:
    """The exit code of an error that this library, or the broker's client, raises on purpose."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return Exit.TROUBLE


class Trouble(click.ClickException):
    """Ends a command with one sentence on stderr.

    Args:
        message: what is wrong, and what to do.
        code: how the command ends.
    """

    def __init__(self, message: str, code: Exit = Exit.TROUBLE) -> None:
        super().__init__(message)
        self.exit_code = int(code)  # type: ignore[misc]
