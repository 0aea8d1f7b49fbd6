"""Sagas a second, what they use, and idle hops, in rounds that take turns."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.meters import cpu_seconds, peak_megabytes
from benchmarks.running import Running, home, running
from benchmarks.servers import Servers
from benchmarks.variants import CHAIN, Variant

WARM_UP = 20
"""Sagas at the beginning of each turn that are not counted."""
LOOKS = 30
"""Single sagas whose hops are timed in each turn."""

Laps = dict[str, list[dict[str, Any]]]


def race(variants: Sequence[Variant], servers: Servers, folder: Path, sagas: int, rounds: int) -> list[dict[str, Any]]:
    """Measure all variants.

    A variant's processes are started for its turn and ended after it, so that no other takes processor time from it.

    Args:
        variants: who takes part.
        servers: what they share.
        folder: for what they write.
        sagas: how many in each round.
        rounds: how often each has its turn; every second one goes the other way round.
    """
    told = {variant.label: home(variant, servers) for variant in variants}
    laps: Laps = {variant.label: [] for variant in variants}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds} …", file=sys.stderr, flush=True)
        for place, variant in enumerate(variants if number % 2 == 0 else reversed(variants)):
            with running(variant, folder / f"round-{number}-{place}", told[variant.label]) as subject:
                laps[variant.label].append(_lap(subject, servers, sagas))
    return [_figures(variant.label, laps) for variant in variants]


def _lap(subject: Running, servers: Servers, sagas: int) -> dict[str, Any]:
    warm_up = min(WARM_UP, sagas // 2)
    subject.ask(count=warm_up, work="steps")
    groups = {
        "own": [pid for pid in subject.pids if pid not in subject.server_pids],
        "database": subject.server_pids or servers.database_pids,
        "broker": servers.broker_pids,
    }
    before = {name: cpu_seconds(pids) for name, pids in groups.items()}
    lap: dict[str, Any] = subject.ask(count=sagas, work="steps")
    lap["cpu"] = {name: cpu_seconds(pids) - before[name] for name, pids in groups.items()}
    lap["peaks"] = peak_megabytes(subject.worker_pids or subject.pids)
    if subject.variant.undoes:
        subject.ask(count=warm_up, work="undo")
        lap["undo"] = subject.ask(count=sagas, work="undo")
    subject.ask(hops=2)
    lap["hops"] = subject.ask(hops=min(LOOKS, sagas // 2))["hops"]
    return lap


def _figures(label: str, laps: Laps) -> dict[str, Any]:
    own, chains = laps[label], laps[CHAIN]
    hops = [hop for lap in own for hop in lap["hops"]]
    found: dict[str, Any] = {
        "variant": label,
        "sagas_per_second": median(_speeds(own)),
        "vs_chain": median(_ratios(own, chains)),
        "hop_p50_ms": median(hops) * 1000,
        "hop_p99_ms": quantiles(hops, n=100, method="inclusive")[98] * 1000,
        **{f"cpu_ms_{name}": _cpu_ms(own, name) for name in own[0]["cpu"]},
        "peak_mb": max(max(lap["peaks"]) for lap in own),
        "peak_mb_all": max(sum(lap["peaks"]) for lap in own),
        "rounds": _speeds(own),
        "rounds_hop_p50_ms": [median(lap["hops"]) * 1000 for lap in own],
    }
    if "undo" in own[0]:
        undone = [lap["undo"] for lap in own]
        found["undone_per_second"] = median(_speeds(undone))
        found["undone_vs_chain"] = median(_ratios(undone, chains))
        found["rounds_undone"] = _speeds(undone)
    return found


def _speeds(laps: Sequence[dict[str, Any]]) -> list[float]:
    return [lap["count"] / lap["seconds"] for lap in laps]


def _ratios(laps: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]) -> list[float]:
    """Round by round."""
    return [own / other for own, other in zip(_speeds(laps), _speeds(others), strict=True)]


def _cpu_ms(laps: Sequence[dict[str, Any]], name: str) -> float:
    found: float = median(lap["cpu"][name] / lap["count"] for lap in laps)
    return found * 1000
