"""Pauses: in a sentence, as JSON, and which of them hold a saga."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from saga_celery.app.reading.durations import spoken
from saga_celery.app.reading.excerpt import excerpt
from saga_celery.app.reading.plain import iso
from saga_celery.engine.ports import Pause


def sentence(pause: Pause, now: datetime) -> str:
    """A pause on one line: `paused: task billing.charge since 2030-01-01T12:00:00Z (5m ago) by ann: gateway down`."""
    since = f"since {iso(pause.since)} ({spoken((now - pause.since).total_seconds())} ago)"
    return f"paused: {pause.kind} {excerpt(pause.name)} {since} by {excerpt(pause.actor)}: {excerpt(pause.reason)}"


def record(pause: Pause) -> dict[str, object]:
    """A pause as JSON."""
    return {
        "kind": pause.kind,
        "name": pause.name,
        "since": pause.since,
        "actor": pause.actor,
        "reason": pause.reason,
    }


def covering(pauses: Iterable[Pause], saga_name: str, tasks: Iterable[str]) -> list[Pause]:
    """Those that keep back messages of a saga to any of some tasks."""
    wanted = list(tasks)
    return [pause for pause in pauses if any(pause.covers(saga_name, task) for task in wanted)]
