"""Sagas a second, what they use, and idle hops, in rounds that take turns."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median, quantiles
from typing import Any

from benchmarks.meters import cpu_seconds, peak_megabytes
from benchmarks.running import Running
from benchmarks.servers import Servers
from benchmarks.variants import CHAIN

WARM_UP = 10
"""Sagas at the beginning of each turn that are not counted."""


def race(subjects: Sequence[Running], servers: Servers, sagas: int, rounds: int, looks: int) -> list[dict[str, Any]]:
    """Measure all subjects.

    Args:
        subjects: those whose workers are up; each works alone while the others are stopped.
        servers: what they share.
        sagas: how many in each round.
        rounds: how often each has its turn.
        looks: how many single sagas are timed on idle workers.
    """
    laps: dict[str, list[dict[str, Any]]] = {subject.variant.label: [] for subject in subjects}
    for number in range(rounds):
        for subject in subjects if number % 2 == 0 else reversed(subjects):
            with subject.turn():
                laps[subject.variant.label].append(_lap(subject, subjects, servers, sagas))
    return [_figures(subject, laps, _hops(subject, looks)) for subject in subjects]


def _lap(subject: Running, subjects: Sequence[Running], servers: Servers, sagas: int) -> dict[str, Any]:
    subject.ask(count=min(WARM_UP, sagas), work="steps")
    groups = {
        "own": [pid for pid in subject.pids if pid not in subject.server_pids],
        "database": subject.server_pids or servers.database_pids,
        "broker": servers.broker_pids,
        "others": [pid for each in subjects if each is not subject for pid in each.pids],
    }
    before = {name: cpu_seconds(pids) for name, pids in groups.items()}
    lap: dict[str, Any] = subject.ask(count=sagas, work="steps")
    lap["cpu"] = {name: cpu_seconds(pids) - before[name] for name, pids in groups.items()}
    if subject.variant.undoes:
        subject.ask(count=min(WARM_UP, sagas), work="undo")
        lap["undo"] = subject.ask(count=sagas, work="undo")
    return lap


def _hops(subject: Running, looks: int) -> list[float]:
    with subject.turn():
        subject.ask(hops=2)
        return sorted(subject.ask(hops=looks)["hops"])


def _figures(subject: Running, laps: dict[str, list[dict[str, Any]]], hops: list[float]) -> dict[str, Any]:
    own, chains = laps[subject.variant.label], laps[CHAIN]
    peaks = peak_megabytes(subject.worker_pids or subject.pids)
    found: dict[str, Any] = {
        "variant": subject.variant.label,
        "sagas_per_second": median(_speeds(own)),
        "vs_chain": median(_ratios(own, chains)),
        "rounds": _speeds(own),
        "starts_per_second": median(each["count"] / each["starting"] for each in own),
        "hop_p50_ms": median(hops) * 1000,
        "hop_p99_ms": quantiles(hops, n=100, method="inclusive")[98] * 1000,
        **{f"cpu_ms_{name}": _cpu_ms(own, name) for name in own[0]["cpu"]},
        "peak_mb": max(peaks),
        "peak_mb_all": sum(peaks),
    }
    if "undo" in own[0]:
        undone = [each["undo"] for each in own]
        found |= {"undone_per_second": median(_speeds(undone)), "undone_vs_chain": median(_ratios(undone, chains))}
    return found


def _speeds(laps: Sequence[dict[str, Any]]) -> list[float]:
    return [each["count"] / each["seconds"] for each in laps]


def _ratios(laps: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]) -> list[float]:
    """Round by round."""
    return [own / other for own, other in zip(_speeds(laps), _speeds(others), strict=True)]


def _cpu_ms(laps: Sequence[dict[str, Any]], name: str) -> float:
    found: float = median(each["cpu"][name] / each["count"] for each in laps)
    return found * 1000
