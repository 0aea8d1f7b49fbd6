"""A picture of the figures: a bar for each variant, as plain SVG."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from benchmarks.variants import CHAIN

WIDTH, BAR, GAP, LEFT, RIGHT = 760, 22, 12, 190, 130
COLOURS = {"ours": "#2f6f4f", "chain": "#8a8f98", "peer": "#b9bec7"}


def svg(figures: Mapping[str, Any]) -> str:
    """Sagas a second."""
    rows = figures["throughput"]
    most = max(row["sagas_per_second"] for row in rows)
    height = 64 + len(rows) * (BAR + GAP)
    bars = [line for number, row in enumerate(rows) for line in _bar(row, 52 + number * (BAR + GAP), most)]
    cores = figures["machine"]["cpus"]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            '<text x="16" y="28" font-size="16" fill="#1d2229">Sagas of five no-op steps a second '
            f"({cores} cores; median, × the plain chain)</text>",
            *bars,
            "</svg>",
            "",
        ]
    )


def _bar(row: Mapping[str, Any], top: int, most: float) -> list[str]:
    length = row["sagas_per_second"] / most * (WIDTH - LEFT - RIGHT)
    kind = "chain" if row["variant"] == CHAIN else "ours" if "," in row["variant"] else "peer"
    words = f"{row['sagas_per_second']:.0f}/s · {row['vs_chain']:.2f} ×"
    text = f'y="{top + 16}" font-size="13" fill="#1d2229"'
    return [
        f'<text x="{LEFT - 10}" {text} text-anchor="end">{escape(row["variant"])}</text>',
        f'<rect x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR}" rx="3" fill="{COLOURS[kind]}"/>',
        f'<text x="{LEFT + length + 8:.1f}" {text}>{words}</text>',
    ]
