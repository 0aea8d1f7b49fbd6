"""In which processes the peers run."""

from __future__ import annotations

import json
import socket
from collections.abc import Collection

from benchmarks.peers.installing import Peers
from benchmarks.variants import Part, Variant, driver, worker

CELERY_SAGA = "celery-saga"
DBOS = "DBOS"
RESTATE = "Restate"


def peer_variants(peers: Peers, databases: Collection[str], children: int) -> list[Variant]:
    """Those that can be measured here."""
    found = []
    if peers.python:
        found.append(_celery_saga(peers.python, children))
    if peers.python and "postgresql" in databases:
        found.append(_dbos(peers.python, children))
    if peers.python and peers.restate_server:
        found.append(_restate(peers.python, peers.restate_server, children))
    return found


def _celery_saga(python: str, children: int) -> Variant:
    """State in Redis, which is not durable."""
    return Variant(
        label=CELERY_SAGA,
        driver=driver(python, "benchmarks.peers.celery_saga_driver"),
        workers=(worker(python, "benchmarks.peers.celery_saga_app", children),),
    )


def _dbos(python: str, children: int) -> Variant:
    """It has no workers: its driver's child processes start workflows themselves and run them in threads."""
    command = (python, "-m", "benchmarks.peers.dbos_driver")
    return Variant(
        label=DBOS,
        driver=Part(name="driver", command=command, has_restless_children=True),
        database="postgresql",
        environment={"BENCH_CHILDREN": str(children)},
        needs_broker=False,
    )


def _restate(python: str, server: str, children: int) -> Variant:
    """Its server, which keeps the state, and an HTTP server that runs the steps."""
    ingress, admin, node, steps = (f"127.0.0.1:{port}" for port in _free_ports(4))
    settings = {
        "RESTATE_INGRESS__BIND_ADDRESS": ingress,
        "RESTATE_ADMIN__BIND_ADDRESS": admin,
        "RESTATE_BIND_ADDRESS": node,
        "RESTATE_ADVERTISED_ADDRESS": f"http://{node}",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_LOG_FILTER": "warn",
    }
    module = "benchmarks.peers.restate_service:app"
    command = (python, "-m", "hypercorn", "--workers", str(children), "--bind", steps, module)
    return Variant(
        label=RESTATE,
        driver=driver(python, "benchmarks.peers.restate_driver"),
        workers=(
            Part(name="server", command=(server,), environment=settings, is_server=True),
            Part(name="steps", command=command, has_pool=True),
        ),
        environment={"BENCH_RESTATE": json.dumps({"ingress": ingress, "admin": admin, "steps": steps})},
        needs_broker=False,
    )


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
