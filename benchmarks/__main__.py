"""`python -m benchmarks`: everything side by side, on servers of its own."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import console, history, report, transitions
from benchmarks.options import Options, parse
from benchmarks.servers import NewDatabase, available, databases
from benchmarks.throughput import memory, throughput
from benchmarks.variants import PEERS, Running, Variant, running, variants


def main() -> None:
    """Measure what is asked for, and print it."""
    options = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended, also then
    found = measure(options)
    print(json.dumps(found, indent=2) if options.json else report.text(found))


def measure(options: Options) -> dict[str, Any]:
    """All figures."""
    names = available(options.databases, options.mariadb_url)
    peers, notes = _peers(options.peer_python)
    notes += [f"{name}: not available here" for name in options.databases if name not in names and name != "mariadb"]
    figures: dict[str, Any] = {"machine": _machine()}
    with tempfile.TemporaryDirectory(prefix="saga-bench-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        with databases(names, folder, options.mariadb_url) as new:
            for section in options.sections:
                _say(f"measuring: {section} …")
                figures[section] = _section(section, options, folder, new, peers)
    figures["machine"]["load_after"] = list(os.getloadavg())
    return {**figures, "notes": notes}


def _section(
    section: str, options: Options, folder: Path, new: Mapping[str, NewDatabase], peers: list[str]
) -> list[dict[str, Any]]:
    match section:
        case "throughput":
            return _throughput(options, folder, new, peers)
        case "transitions":
            return [transitions.measure(name, make(), options.sagas, options.rounds) for name, make in new.items()]
        case "history":
            few = max(options.sagas // 4, 2)
            return [history.measure(name, make, options.finished, few, options.rounds) for name, make in new.items()]
        case "console":
            return [row for name in new if name == "postgresql" for row in _console(options, new[name])]
        case _:
            return _memory(options, folder, new)


def _throughput(
    options: Options, folder: Path, new: Mapping[str, NewDatabase], peers: list[str]
) -> list[dict[str, Any]]:
    with ExitStack() as stack:
        subjects: list[Running] = []
        for number, variant in enumerate(variants(list(new), options.subjects, peers, options.peer_python or "")):
            place = folder / f"variant-{number}"
            subjects.append(stack.enter_context(running(variant, place, new, options.children)))
        for subject in subjects:
            subject.await_ready()
        return throughput(subjects, options.sagas, options.rounds, options.looks)


def _memory(options: Options, folder: Path, new: Mapping[str, NewDatabase]) -> list[dict[str, Any]]:
    name = next(iter(new))
    variant = Variant(label=f"in place, {name}", subject="keyed", database=name)
    with running(variant, folder / "memory", new, options.children) as subject:
        subject.await_ready()
        return [memory(subject, min(100, options.memory_sagas // 2), options.memory_sagas)]


def _console(options: Options, new: NewDatabase) -> list[dict[str, Any]]:
    """Others than PostgreSQL are not filled so quickly."""
    return console.measure("postgresql", new(), options.stored, options.calls)


def _peers(python: str | None) -> tuple[list[str], list[str]]:
    if python is None:
        return [], ["Peers were not measured: pass --peer-python, an interpreter with celery-saga or dbos installed."]
    found, notes = [], []
    for module, label in PEERS.items():
        if subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0:
            found.append(module)
        else:
            notes.append(f"{label} was not measured: {python} can not import it.")
    return found, notes


def _machine() -> dict[str, Any]:
    return {
        "cpus": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "load_before": list(os.getloadavg()),
    }


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
