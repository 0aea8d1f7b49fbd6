"""Tables as values: what is in the rows, apart from how they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Styled(NamedTuple):
    """Text with a meaning that a colour may show; the text alone says it, too."""

    text: str
    style: str

    def __str__(self) -> str:
        return self.text


Cell = str | Styled


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under headings."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    whole: tuple[str, ...] = ()
    """Columns that are never broken into lines, however narrow the terminal: people copy from them."""


def good(text: str) -> Styled:
    """Something that went as it should."""
    return Styled(text, "green")


def bad(text: str) -> Styled:
    """Something that needs a person."""
    return Styled(text, "bold red")


def doubtful(text: str) -> Styled:
    """Something to keep an eye on."""
    return Styled(text, "yellow")


def faint(text: str) -> Styled:
    """Something beside the point."""
    return Styled(text, "dim")


def heading(text: str) -> Styled:
    """The name of what follows."""
    return Styled(text, "bold")


def plain_lines(table: Table) -> Sequence[str]:
    """Aligned columns without frames or colours, as scripts and logs like them."""
    headings = tuple(column.upper() for column in table.columns)
    rows = [headings, *(tuple(map(str, row)) for row in table.rows)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(table.columns))]
    aligned = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [table.title, *aligned] if table.title else aligned
