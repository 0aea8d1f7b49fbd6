"""Whether a pool process grows with the sagas that it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil

from benchmarks.running import running
from benchmarks.servers import Servers
from benchmarks.variants import variants


def measure(servers: Servers, folder: Path, sagas: int, children: int) -> dict[str, Any]:
    """Resident memory of the largest pool process after few and after many sagas."""
    variant = next(each for each in variants(list(servers.new), ["messages"], children) if each.database)
    few = min(100, sagas // 2)
    with running(variant, folder, servers) as subject:
        subject.await_ready()
        subject.ask(count=few, work="steps")
        early = _megabytes(subject.worker_pids)
        subject.ask(count=sagas - few, work="steps")
        late = _megabytes(subject.worker_pids)
    return {"variant": variant.label, "few": few, "many": sagas, "mb_few": early, "mb_many": late}


def _megabytes(workers: list[int]) -> float:
    pools = [child for pid in workers for child in psutil.Process(pid).children(recursive=True)]
    return float(max(child.memory_info().rss for child in pools)) / 2**20
