"""The table in docs/speed.md: written from the figures between two markers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.summary import summary
from workers.demo.process import ROOT

PAGE = ROOT / "docs" / "speed.md"
BEGIN, END = "<!-- figures: written by `make bench` -->", "<!-- end of figures -->"
_COLUMNS = {
    "sagas_per_second": "sagas/s",
    "vs_chain": "by the chain's",
    "hop_p50_ms": "idle hop p50, ms",
    "hop_p99_ms": "p99, ms",
    "cpu_ms_own": "CPU ms a saga: workers and driver",
    "cpu_ms_database": "database",
    "cpu_ms_broker": "broker",
    "peak_mb": "largest worker process, MB",
}
_WORDS = {
    "messages_vs_chain": "sagas/s, each step a message, by the chain's",
    "run_on_vs_chain": "sagas/s, steps run on, by the chain's",
    "run_on_vs_restate": "the same by Restate's",
    "run_on_vs_dbos": "the same by DBOS'",
    "foreign_vs_chain": "sagas/s, steps in a worker without saga code, by the chain's",
    "sqlite_vs_postgresql": "sagas/s on SQLite, each step a message, by those on PostgreSQL",
    "sqlite_vs_postgresql_run_on": "the same, steps run on",
    "hop_vs_chain": "an idle hop (p50), by the chain's",
    "compensation_vs_chain": "sagas/s that fail at the last step and are undone (nine tasks), by the chain's of five",
    "run_on_compensation_vs_chain": "the same, steps run on",
    "start_per_second": "`start()` a second, one process",
    "start_many_per_second": "`start_many()` of sagas a second, one process",
    "round_trips_per_transition": "round trips to PostgreSQL for a transition, its saga known to the process",
    "round_trips_per_transition_cold": "the same, its saga not known",
    "bytes_per_saga": "bytes of a finished saga, indexes included",
}


def write(figures: Mapping[str, Any], page: Path = PAGE) -> None:
    """Put the tables into the page."""
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n\n{tables(figures)}\n{END}{rest.partition(END)[2]}")


def tables(figures: Mapping[str, Any]) -> str:
    """The variants, and what follows from them."""
    return "\n".join([_machine(figures), "", *_variants(figures), "", *_summary(figures), ""])


def _machine(figures: Mapping[str, Any]) -> str:
    found, counts = figures["machine"], figures["counts"]
    load = f"load {found['load_before'][0]:.1f} before and {found['load_after'][0]:.1f} after"
    asked = f"{counts['rounds']} rounds of {counts['sagas']} sagas; {counts['finished']:,} finished sagas were weighed."
    return " ".join(
        [f"{found['cpus']} cores, {found['system']}, Python {found['python']}; {load}; {asked}", *figures["notes"]]
    )


def _variants(figures: Mapping[str, Any]) -> list[str]:
    lines = [f"| variant | {' | '.join(_COLUMNS.values())} |", "|---|" + "---:|" * len(_COLUMNS)]
    for row in figures["throughput"]:
        lines.append(f"| {row['variant']} | {' | '.join(_number(row[name]) for name in _COLUMNS)} |")
    return lines


def _summary(figures: Mapping[str, Any]) -> list[str]:
    found = summary(figures)
    lines = ["| figure | median | least to greatest of the rounds |", "|---|---:|---:|"]
    for name, words in _WORDS.items():
        spread = found.get(f"{name}_spread")
        lines.append(f"| {words} | {_number(found[name])} | {' to '.join(map(_number, spread)) if spread else '–'} |")
    return lines


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
