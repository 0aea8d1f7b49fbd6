"""How many sagas, and chains, one process starts in a second, while no worker takes any of its time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.running import Running, home, running
from benchmarks.servers import Servers
from benchmarks.variants import CHAIN, variants


def measure(servers: Servers, folder: Path, starts: int, batch: int, rounds: int) -> list[dict[str, Any]]:
    """Starts one by one, and many at once, in rounds that take turns.

    Args:
        servers: where they are stored, and their first messages wait.
        folder: for logs.
        starts: how many one by one in each round.
        batch: how many at once in each round.
        rounds: the medians count.
    """
    with ExitStack() as stack:
        drivers: list[Running] = []
        for number, variant in enumerate(variants(list(servers.new), ["messages"], 0)):
            alone = replace(variant, workers=())
            drivers.append(stack.enter_context(running(alone, folder / str(number), home(alone, servers))))
            drivers[-1].ask(starts=10)
        answers: dict[str, list[dict[str, float]]] = {each.variant.label: [] for each in drivers}
        for _ in range(rounds):
            for each in drivers:
                many = {"start_many": batch} if each.variant.label != CHAIN else {}
                answers[each.variant.label].append(each.ask(starts=starts) | (each.ask(**many) if many else {}))
        return [_figures(label, found) for label, found in answers.items()]


def _figures(label: str, found: Sequence[dict[str, float]]) -> dict[str, Any]:
    rates = {name: [each[name] for each in found] for name in found[0]}
    return {
        "variant": label,
        **{f"{name}_per_second": median(each) for name, each in rates.items()},
        **{f"{name}_rounds": each for name, each in rates.items()},
    }
