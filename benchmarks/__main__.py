"""`python -m benchmarks`: everything side by side, on servers of its own."""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import console, history, memory, report, results, starting, storage, transitions
from benchmarks.options import Options, parse
from benchmarks.peers.installing import Peers, install
from benchmarks.peers.variants import peer_variants
from benchmarks.race import race
from benchmarks.servers import NewDatabase, Servers, available, servers
from benchmarks.summary import summary
from benchmarks.variants import variants
from workers.demo.broker import redis_executable

NEED_REDIS = ("throughput", "starts", "memory")


def main() -> None:
    """Measure what is asked for, and print it."""
    options = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended, also then
    found = measure(options)
    if options.is_whole and "throughput" in found:
        results.keep(found)
    if options.out:
        results.write(found, options.out)
    print(report.text(found))
    if options.json:
        print(json.dumps(summary(found)))


def measure(options: Options) -> dict[str, Any]:
    """All figures."""
    names = available(options.databases, options.mariadb_url)
    notes = [f"{name}: not available here" for name in options.databases if name not in names and name != "mariadb"]
    peers = install() if options.peers else Peers(notes=("Peers were not asked for.",))
    notes += peers.notes
    sections = [section for section in options.sections if redis_executable() or section not in NEED_REDIS]
    notes += ["Nothing was run on workers: there is no Redis here."] if len(sections) < len(options.sections) else []
    figures: dict[str, Any] = {"machine": _machine()}
    with tempfile.TemporaryDirectory(prefix="saga-bench-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        with servers(names, folder, options.mariadb_url) as shared:
            for section in sections:
                _say(f"measuring: {section} …")
                figures[section] = _section(section, options, folder, shared, peers)
    figures["counts"] = {"sagas": options.sagas, "rounds": options.rounds, "finished": options.finished}
    figures["machine"]["load_after"] = list(os.getloadavg())
    return {**figures, "notes": notes}


def _section(section: str, options: Options, folder: Path, shared: Servers, peers: Peers) -> list[dict[str, Any]]:
    match section:
        case "throughput":
            return _throughput(options, folder, shared, peers)
        case "transitions":
            each = shared.new.items()
            return [transitions.measure(name, make(), options.sagas, options.rounds) for name, make in each]
        case "history":
            few = max(options.sagas // 4, 2)
            each = shared.new.items()
            return [history.measure(name, make, options.finished, few, options.rounds) for name, make in each]
        case "starts":
            return starting.measure(shared, folder / section, options.starts, options.batch, options.rounds)
        case "storage":
            weighed = shared.new.items()
            return [storage.measure(make(), options.finished) for name, make in weighed if name == "postgresql"]
        case "console":
            return [row for name, make in shared.new.items() if name == "postgresql" for row in _console(options, make)]
        case _:
            return [memory.measure(shared, folder / "memory", options.memory_sagas, options.children)]


def _throughput(options: Options, folder: Path, shared: Servers, peers: Peers) -> list[dict[str, Any]]:
    names = list(shared.new)
    each = [*variants(names, options.subjects, options.children), *peer_variants(peers, names, options.children)]
    return race(each, shared, folder, options.sagas, options.rounds)


def _console(options: Options, new: NewDatabase) -> list[dict[str, Any]]:
    """Others than PostgreSQL are not filled so quickly."""
    return console.measure("postgresql", new(), options.stored, options.calls)


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
