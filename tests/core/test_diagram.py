"""docs/lifecycle.md shows the tables that run."""

import re
import runpy
import sys
from pathlib import Path

import pytest

from saga_celery.core.diagram import blocks
from saga_celery.core.lifecycle import saga_edges, step_edges

PAGE = Path(__file__).parents[2] / "docs" / "lifecycle.md"


@pytest.mark.parametrize("name", blocks())
def test_the_page_is_not_stale(name):
    found = re.search(rf"<!-- generated: {name} -->\n(.*?)\n<!-- end: {name} -->", PAGE.read_text(), re.DOTALL)
    assert found, f"no block {name!r} in {PAGE.name}"
    assert found[1] == blocks()[name], "stale: run `python -m saga_celery.core.diagram` and paste the block"


def test_every_edge_is_drawn():
    drawn = blocks()
    for before, fact, after in step_edges():
        assert re.search(rf"{before or re.escape('[*]')} --> {after}: .*\b{fact}\b", drawn["step"])
    for before, fact, after in saga_edges():
        assert f"{before} --> {after}: {fact}" in drawn["saga"]


def test_the_module_prints_every_block(capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "saga_celery.core.diagram")
    runpy.run_module("saga_celery.core.diagram", run_name="__main__")
    printed = capsys.readouterr().out
    assert all(text in printed for text in blocks().values())
