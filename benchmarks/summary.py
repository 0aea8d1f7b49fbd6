"""The figures that count, as one flat object: None where something was not measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.peers.variants import CELERY_SAGA, DBOS, RESTATE
from benchmarks.variants import CHAIN

Figures = Mapping[str, Any]

MESSAGES = "messages, postgresql"
RUN_ON = "run on, postgresql"
RATIOS = {
    "messages_vs_chain": (MESSAGES, CHAIN),
    "run_on_vs_chain": (RUN_ON, CHAIN),
    "run_on_vs_restate": (RUN_ON, RESTATE),
    "run_on_vs_dbos": (RUN_ON, DBOS),
    "foreign_vs_chain": ("foreign, postgresql", CHAIN),
    "celery_saga_vs_chain": (CELERY_SAGA, CHAIN),
    "dbos_vs_chain": (DBOS, CHAIN),
    "restate_vs_chain": (RESTATE, CHAIN),
    "sqlite_vs_postgresql": ("messages, sqlite", MESSAGES),
    "sqlite_vs_postgresql_run_on": ("run on, sqlite", RUN_ON),
}
"""Sagas a second of the first by those of the second."""
HOPS = {
    "hop_vs_chain": (MESSAGES, CHAIN),
    "run_on_hop_vs_chain": (RUN_ON, CHAIN),
}
UNDONE = {
    "compensation_vs_chain": (MESSAGES, CHAIN),
    "run_on_compensation_vs_chain": (RUN_ON, CHAIN),
}
"""Nine tasks that run and are undone, by the chain's five that run."""


def summary(figures: Figures) -> dict[str, Any]:
    """Medians over the rounds, and beside each ratio its least and its greatest."""
    rows = {row["variant"]: row for row in figures.get("throughput", ())}
    starts = {row["variant"]: row for row in figures.get("starts", ())}.get(MESSAGES, {})
    moves = {row["database"]: row for row in figures.get("transitions", ())}.get("postgresql", {})
    stored: Figures = next(iter(figures.get("storage", ())), {})
    return {
        **_ratios(RATIOS, rows, "rounds", "rounds"),
        **_ratios(HOPS, rows, "rounds_hop_p50_ms", "rounds_hop_p50_ms"),
        **_ratios(UNDONE, rows, "rounds_undone", "rounds"),
        "start_per_second": starts.get("start_per_second"),
        "start_many_per_second": starts.get("start_many_per_second"),
        "round_trips_per_transition": moves.get("round_trips_known"),
        "round_trips_per_transition_cold": moves.get("round_trips_cold"),
        "statements_per_transition": moves.get("statements_known"),
        "bytes_per_saga": stored.get("bytes_per_saga"),
    }


def _ratios(
    asked: Mapping[str, tuple[str, str]], rows: Mapping[str, Figures], ours: str, theirs: str
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, (label, other) in asked.items():
        each = _each(rows.get(label, {}).get(ours), rows.get(other, {}).get(theirs))
        found[name] = median(each) if each else None
        found[f"{name}_spread"] = [min(each), max(each)] if each else None
    return found


def _each(ours: Sequence[float] | None, theirs: Sequence[float] | None) -> list[float]:
    """Round by round: what else the machine did is the same for both."""
    return [one / other for one, other in zip(ours or (), theirs or (), strict=False)]
