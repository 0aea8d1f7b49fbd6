"""Watch the sagas until they have ended, and strike a worker down on the way."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from workers.reconcile.books import ENDED, count_states
from workers.reconcile.databases import Databases

POLL_SECONDS = 0.25


def watch(
    databases: Databases, console: Console, *, total: int, seconds: float, at_a_third: Callable[[], None]
) -> bool:
    """Show progress until all sagas have ended; False when `seconds` are over before. Calls `at_a_third` once."""
    deadline = time.monotonic() + seconds
    struck = False
    with _bar(console) as bar:
        task = bar.add_task("sagas", total=total, states="")
        while True:
            states = count_states(databases)
            ended = sum(states.get(state, 0) for state in ENDED)
            bar.update(task, completed=ended, states=_in_words(states))
            if not struck and ended * 3 >= total:
                at_a_third()
                struck = True
            if ended >= total:
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[states]}"),
        console=console,
    )


def _in_words(states: dict[str, int]) -> str:
    return ", ".join(f"{count} {state.lower()}" for state, count in sorted(states.items()))
