"""Do workers live, and do they consume and know what the sagas need?"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from celery import Celery

from saga_celery.cli.doctor.finding import Finding, fix, note, ok
from saga_celery.settings import Settings

PATIENCE = 1.0
"""Seconds that workers have to answer."""


def consuming(app: Celery, settings: Settings) -> Finding:
    """Whether some worker takes the coordinator's messages."""
    queues = _asked(app, "active_queues")
    busy = sorted(worker for worker, found in queues.items() if any(each["name"] == settings.queue for each in found))
    if busy:
        return ok("coordinator", f"queue {settings.queue!r} is consumed by {', '.join(busy)}")
    if queues:
        known = f"{len(queues)} workers answer, none of them consumes queue {settings.queue!r}"
        return fix("coordinator", known, "start one that has saga_database_url, or add the queue with -Q")
    return fix("coordinator", f"no worker answered within {PATIENCE:g} s", "start a worker")


def taking(app: Celery, settings: Settings, waiting: Mapping[str, Collection[str]]) -> Iterator[Finding]:
    """Whether some worker takes the messages that nobody has begun with.

    Args:
        app: the Celery app.
        settings: names the queues of workers that may not answer us.
        waiting: the queues of those messages, each with the tasks that they name; empty: the queue is not known.
    """
    answers = _asked(app, "active_queues")
    if not answers:
        return  # that nobody answers is said already
    consumed = {each["name"] for found in answers.values() for each in found}
    for queue, tasks in waiting.items():
        if not queue or queue in consumed:
            continue
        text = f"no worker that answers consumes queue {queue!r}, where {', '.join(sorted(tasks))} waits"
        if queue in settings.foreign_queues:
            yield note("queues", text, "make sure that one does; workers of foreign queues need not answer")
        else:
            yield fix("queues", text, f"start a worker with -Q {shlex.quote(queue)}, or route the task elsewhere")
    if consumed.issuperset(waiting):
        yield ok("queues", "every queue in which a message waits is consumed" if waiting else "no message waits")


def knowing(app: Celery, names: Collection[str]) -> Iterator[Finding]:
    """Whether the tasks that stored messages name are known, here or to a worker that answers.

    A step tells its task only when it is rendered; so this looks at what was rendered lately.
    """
    if not names:
        yield note("tasks", "no message was stored yet, so the tasks of the steps are not known")
        return
    at_workers = {line.split()[0] for found in _asked(app, "registered").values() for line in found if line}
    unknown = sorted(set(names) - at_workers - set(app.tasks))
    if unknown:
        yield fix(
            "tasks",
            f"neither this app nor a worker that answers knows {', '.join(unknown)}",
            "start the workers that have them, or mend the names in the steps",
        )
    else:
        yield ok("tasks", f"the {len(names)} that recent messages name are known (others show when they are rendered)")


def _asked(app: Celery, question: str) -> Mapping[str, Sequence[Any]]:
    answer = getattr(app.control.inspect(timeout=PATIENCE), question)()
    return answer or {}
