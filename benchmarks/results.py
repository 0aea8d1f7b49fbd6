"""Where figures are kept: JSON and a picture in a folder, and for a whole run the table in the docs as well."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import page
from benchmarks.picture import svg
from benchmarks.summary import summary
from workers.demo.process import ROOT

FOLDER = ROOT / "benchmarks" / "results"
PICTURE = ROOT / "docs" / "images" / "speed.svg"


def keep(figures: Mapping[str, Any]) -> None:
    """Those of a whole run, which the docs show."""
    write(figures, FOLDER)
    PICTURE.write_text(svg(figures))
    page.write(figures)


def write(figures: Mapping[str, Any], folder: Path) -> None:
    """All figures, and the picture where there is something to see."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.json").write_text(json.dumps({"summary": summary(figures), **figures}, indent=2) + "\n")
    if figures.get("throughput"):
        (folder / "latest.svg").write_text(svg(figures))


def kept() -> dict[str, Any]:
    """The last whole run."""
    found: dict[str, Any] = json.loads((FOLDER / "latest.json").read_text())
    return found
