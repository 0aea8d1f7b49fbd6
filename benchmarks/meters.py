"""What processes have used: processor time and memory."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def cpu_seconds(roots: Iterable[int]) -> float:
    """Processor time of processes and all that came of them, those that have ended included."""
    return sum(_seconds(each) for root in roots for each in _family(root))


def peak_megabytes(roots: Iterable[int]) -> list[float]:
    """The most memory that each process had resident at any time; where the system does not keep it, has now."""
    return [_peak(each) for root in roots for each in _family(root)]


def _family(root: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(root)
        return [process, *process.children(recursive=True)]
    return []


def _seconds(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        ended = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        return float(times.user + times.system + ended)
    return 0.0


def _peak(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess, OSError):
        status = Path(f"/proc/{process.pid}/status")
        if status.exists() and (found := _PEAK.search(status.read_text())):
            return int(found.group(1)) / 1024
        return float(process.memory_info().rss) / 2**20
    return 0.0
