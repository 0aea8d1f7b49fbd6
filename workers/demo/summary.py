"""What became of the orders: as a table for people, and as a JSON object for scripts."""

from __future__ import annotations

import json

from rich.console import Console
from rich.table import Table

from workers.reconcile.report import Report


def print_summary(report: Report, console: Console) -> None:
    """How many sagas ended in which state, and why orders were refused."""
    total = sum(report.states.values())
    table = Table(title="Orders", title_justify="left")
    table.add_column("ended")
    table.add_column("sagas", justify="right")
    table.add_column("share", justify="right")
    for state, count in sorted(report.states.items()):
        table.add_row(state, str(count), f"{count / total:.1%}")
    for reason, count in report.refusals.items():
        table.add_row(f"  refused: {reason}", str(count), f"{count / total:.1%}", style="dim")
    console.print(table)


def as_json(report: Report, seconds: float) -> str:
    """The run in one line."""
    return json.dumps(
        {
            "sagas": sum(report.states.values()),
            "completed": report.states.get("COMPLETED", 0),
            "compensated": report.states.get("COMPENSATED", 0),
            "failed": report.states.get("FAILED", 0),
            "balanced": report.balanced,
            "seconds": round(seconds, 1),
        }
    )
