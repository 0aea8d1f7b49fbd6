"""The group `saga` itself, and the boundary at which errors become one line and an exit code."""

from __future__ import annotations

from typing import Any

import click
from click_didyoumean import DYMGroup

from saga_celery.app.reading.excerpt import excerpt
from saga_celery.cli import target
from saga_celery.cli.exits import EXPECTED, Trouble, exit_code
from saga_celery.store.faults import MIGRATE, MIGRATE_BARRIER

LONGEST_ERROR = 2000


class SagaGroup(DYMGroup):  # type: ignore[misc] # click_didyoumean ships no types
    """A group whose commands may raise any error of the library: it becomes one line on stderr, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except EXPECTED as error:
            raise Trouble(_sentence(ctx, error), exit_code(error)) from error


def _sentence(ctx: click.Context, error: Exception) -> str:
    """One line, in which the command to run is the one that works here."""
    text = str(error).replace(MIGRATE_BARRIER, MIGRATE_BARRIER.replace(MIGRATE, f"{target.program(ctx)} migrate"))
    if MIGRATE in text:
        text = text.replace(MIGRATE, target.migrate(ctx))
    return excerpt(text, LONGEST_ERROR) or type(error).__name__


@click.group(cls=SagaGroup)
def saga(**preload_options: Any) -> None:
    """Look at sagas, start them, and settle what waits for a person.

    \b
    Exit codes: 0 done, 1 refused, 2 usage, 3 not found, tables behind or
    trouble found, 4 the time to wait ran out, 69 broker or database
    unreachable.
    """
