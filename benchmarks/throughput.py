"""Sagas a second, starts a second and idle latency, in rounds that take turns."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.variants import CHAIN, Running


def throughput(subjects: Sequence[Running], sagas: int, rounds: int, looks: int) -> list[dict[str, Any]]:
    """Measure all subjects.

    Args:
        subjects: those whose workers are up; each runs alone while the others are idle.
        sagas: how many in each round.
        rounds: how often each has its turn; the first figures after a start-up are thrown away.
        looks: how many single sagas are timed on idle workers.
    """
    for subject in subjects:
        subject.ask(count=max(sagas // 10, 2))
    answers: dict[str, list[dict[str, Any]]] = {subject.variant.label: [] for subject in subjects}
    for turn in range(rounds):
        for subject in subjects if turn % 2 == 0 else reversed(subjects):
            before = subject.cpu_seconds()
            answer = subject.ask(count=sagas)
            answers[subject.variant.label].append({**answer, "cpu": subject.cpu_seconds() - before})
    latencies = {subject.variant.label: subject.ask(latency=looks)["latencies"] for subject in subjects}
    return [_figures(label, found, latencies[label], answers[CHAIN]) for label, found in answers.items()]


def _figures(
    label: str, found: list[dict[str, Any]], latencies: list[float], chains: list[dict[str, Any]]
) -> dict[str, Any]:
    ratios = [chain["seconds"] / own["seconds"] for own, chain in zip(found, chains, strict=True)]
    return {
        "variant": label,
        "sagas_per_second": median(each["count"] / each["seconds"] for each in found),
        "ratio": median(ratios),
        "ratios": ratios,
        "starts_per_second": median(each["count"] / each["starting"] for each in found),
        "cpu_ms_per_saga": median(each["cpu"] / each["count"] for each in found) * 1000,
        "latency_ms": median(latencies) * 1000,
    }


def memory(subject: Running, few: int, many: int) -> dict[str, Any]:
    """Resident memory of a pool process after few and after many sagas."""
    subject.ask(count=few)
    early = subject.megabytes()
    subject.ask(count=many - few)
    return {"variant": subject.variant.label, "few": few, "many": many, "mb_few": early, "mb_many": subject.megabytes()}
