"""Where output goes: rich tables on a terminal, aligned columns elsewhere, one JSON object a line for scripts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from saga_celery.app.reading import plain
from saga_celery.app.reading.excerpt import printable
from saga_celery.cli import richly
from saga_celery.cli.table import Cell, Table, plain_lines

Block = Cell | Table
"""A line (or several), or a table."""
Page = Sequence[Block]


class Screen:
    """The output of one command.

    Args:
        json: one object a line, and nothing else on stdout.
        no_color: no colours, whatever the terminal can do.
        quiet: leave out what a script does not need.
    """

    def __init__(self, *, json: bool = False, no_color: bool = False, quiet: bool = False) -> None:
        self.json = json
        self.quiet = quiet
        self._no_color = no_color or bool(os.environ.get("NO_COLOR"))

    @property
    def is_rich(self) -> bool:
        """True on a terminal, where rich is installed."""
        return not self.json and _is_terminal() and richly.is_installed()

    def show(self, page: Page) -> None:
        """Print blocks one below the other."""
        if self.is_rich:
            richly.show(page, no_color=self._no_color)
            return
        for block in page:
            for line in plain_lines(block) if isinstance(block, Table) else [str(block)]:
                click.echo(printable(line))

    def record(self, value: Mapping[str, Any]) -> None:
        """Print one JSON object on a line of its own."""
        click.echo(plain.line(value))

    def say(self, text: str) -> None:
        """Confirm what was done; silent with -q."""
        if not self.quiet:
            click.echo(printable(text))

    def note(self, text: str) -> None:
        """Say something on stderr that nobody has to read; silent with -q."""
        if not self.quiet:
            click.echo(printable(text), err=True)

    def redraw(self, pages: Iterable[Page]) -> None:
        """Show each page in the place of the one before; on a terminal with rich only."""
        richly.redraw(pages, no_color=self._no_color)


def _is_terminal() -> bool:
    return sys.stdout.isatty()
