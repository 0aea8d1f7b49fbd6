"""The figures as a table for people."""

from __future__ import annotations

from typing import Any


def text(figures: dict[str, Any]) -> str:
    """All sections that were measured."""
    lines = [_machine(figures["machine"])]
    for name, rows in figures.items():
        if name in _TITLES and rows:
            lines += ["", _TITLES[name], *_table(rows)]
    lines += ["", *figures["notes"]] if figures["notes"] else []
    return "\n".join(lines)


_TITLES = {
    "throughput": "Sagas of five no-op steps (ratio: plain chain = 1.0, medians of rounds that take turns)",
    "transitions": "One transition, one thread (known: its last state is in this process; cold: loaded first)",
    "history": "A transition (cold), an idle sweep, a list and one saga, with empty tables and with full ones",
    "console": "Calls of the web console, in ms, as a function and over HTTP; over: calls that took more than 100 ms",
    "memory": "Resident memory of a pool process, in MB",
}


def _machine(found: dict[str, Any]) -> str:
    load = "/".join(f"{each:.1f}" for each in found["load_before"])
    after = "/".join(f"{each:.1f}" for each in found["load_after"])
    return f"{found['cpus']} cores, {found['system']}, Python {found['python']}; load {load} before, {after} after"


def _table(rows: list[dict[str, Any]]) -> list[str]:
    names = list(dict.fromkeys(name for row in rows for name in row if not isinstance(row[name], list)))
    cells = [names, *[[_cell(row.get(name)) for name in names] for row in rows]]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    return [
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in columns).rstrip()
        for columns in (enumerate(zip(line, widths, strict=True)) for line in cells)
    ]


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.2f}" if value < 100 else f"{value:.0f}"
    return str(value)
