"""The same output by rich, which is an extra: `pip install "saga-celery[cli]"`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from saga_celery.app.reading.excerpt import printable
from saga_celery.cli.table import Cell, Styled, Table

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table as RichTable
    from rich.text import Text


def is_installed() -> bool:
    """Tell whether rich is there."""
    return find_spec("rich") is not None


def show(page: Sequence[Cell | Table], *, no_color: bool) -> None:
    """Print blocks one below the other."""
    console = _console(no_color)
    for block in page:
        console.print(_renderable(block), soft_wrap=not isinstance(block, Table))


def redraw(pages: Iterable[Sequence[Cell | Table]], *, no_color: bool) -> None:
    """Show each page in the place of the one before; the last one stays."""
    from rich.console import Group
    from rich.live import Live

    with Live(console=_console(no_color), auto_refresh=False, vertical_overflow="visible") as live:
        for page in pages:
            live.update(Group(*map(_renderable, page)), refresh=True)


def _console(no_color: bool) -> Console:
    from rich.console import Console

    return Console(no_color=no_color or None, highlight=False)


def _renderable(block: Cell | Table) -> RenderableType:
    return _table(block) if isinstance(block, Table) else _text(block)


def _table(table: Table) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable

    drawn = RichTable(title=table.title or None, title_justify="left", box=box.SIMPLE_HEAD)
    for column in table.columns:
        drawn.add_column(column, no_wrap=column in table.whole)
    for row in table.rows:
        drawn.add_row(*map(_text, row))
    return drawn


def _text(cell: Cell) -> Text:
    """Never markup: the text comes from data of others."""
    from rich.text import Text

    return Text(printable(str(cell)), style=cell.style if isinstance(cell, Styled) else "", overflow="fold")
