"""What the reconciliation found, as a value and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check, and what it found wrong."""

    name: str
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All checks, and the sagas' states that they were held against."""

    states: Mapping[str, int]
    refusals: Mapping[str, int]
    """How often each service said no, by reason."""
    failed: tuple[str, ...]
    """Keys of the sagas that wait for an operator."""
    checks: tuple[Check, ...]

    @property
    def balanced(self) -> bool:
        """Whether no check found a difference."""
        return not self.differences

    @property
    def differences(self) -> tuple[str, ...]:
        """Everything that does not balance."""
        return tuple(difference for check in self.checks for difference in check.differences)

    def print(self, console: Console) -> None:
        """Print a line for each check, the differences, and the verdict."""
        console.print(self._table())
        for difference in self.differences[:SHOWN]:
            console.print(f"  [red]{difference}[/]")
        if len(self.differences) > SHOWN:
            console.print(f"  and {len(self.differences) - SHOWN} more")
        if self.failed:
            console.print(f"[yellow]FAILED, waiting for an operator: {', '.join(self.failed)}[/]")
        console.print(
            "[bold green]The books balance.[/]" if self.balanced else "[bold red]The books do not balance.[/]"
        )

    def _table(self) -> Table:
        table = Table(title="Reconciliation", title_justify="left")
        table.add_column("check")
        table.add_column("differences", justify="right")
        for check in self.checks:
            found = len(check.differences)
            table.add_row(check.name, f"[red]{found}[/]" if found else "[green]0[/]")
        return table
