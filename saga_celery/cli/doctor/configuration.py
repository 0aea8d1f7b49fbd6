"""Is the app configured so that the promise holds?"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase

from celery import Celery

from saga_celery.app.alerts import hosts
from saga_celery.cli.doctor.finding import Finding, fix, note, ok
from saga_celery.settings import Settings

_PLAIN = {"json", "application/json"}
_RUNS_CODE = {"pickle", "yaml", "application/x-python-serialize", "application/x-yaml"}


def content_types(app: Celery) -> Finding:
    """Whether a message can only ever be data."""
    accepted = set(app.conf.accept_content)
    dangerous = sorted(accepted & _RUNS_CODE)
    if dangerous:
        text = f"accepts {', '.join(dangerous)}: whoever can write to the broker can run code"
        return fix("accept_content", text, "set accept_content = ['json']")
    if not accepted & _PLAIN:
        return fix(
            "accept_content", "does not accept json, which all saga messages are", "add 'json' to accept_content"
        )
    more = sorted(accepted - _PLAIN)
    if more:
        return note("accept_content", f"accepts {', '.join(more)} besides json", "sagas need json only")
    return ok("accept_content", "json only")


def alerts(settings: Settings) -> Finding:
    """Whether somebody is told when a saga needs a person."""
    webhooks = set(settings.alert_events) if settings.alert_webhook else set()
    missing = [event for event in ("saga_failed", "saga_stuck") if event not in webhooks | set(settings.hooks)]
    if missing:
        text = f"no webhook and no hook for all sagas is told of {' and '.join(missing)}"
        return note("alerts", text, "set saga_alert_webhook to a URL, or name a task in saga_hooks")
    told = ", ".join(hosts(settings) if webhooks else [])
    return ok("alerts", f"saga_failed and saga_stuck are told{f' to {told}' if told else ''}")


def prefetch(app: Celery) -> Finding:
    """Whether a killed worker holds few messages."""
    found = app.conf.worker_prefetch_multiplier
    if found == 1:
        return ok("worker_prefetch_multiplier", "1")
    text = f"{found or 'unlimited'}: what a killed worker had fetched waits for its queue grace"
    return note("worker_prefetch_multiplier", text, "1 suits sagas best")


def acknowledgement(app: Celery, settings: Settings, stepping: Collection[str]) -> Iterator[Finding]:
    """Whether the tasks that run steps are acknowledged late, so that a killed worker gives them back at once.

    Args:
        app: the Celery app.
        settings: names the participants.
        stepping: tasks that stored messages name.
    """
    mine = [name for name in app.tasks if not name.startswith(("celery.", "saga_celery."))]
    concerned = [name for name in mine if name in stepping or _is_participant(name, settings)]
    early = sorted(name for name in concerned if not (_is_participant(name, settings) or _is_late(app, name)))
    if early:
        yield note(
            "acks_late",
            f"acknowledged before they run: {', '.join(early)}; a killed worker delays its step by a lease",
            "name them in saga_participants, or set acks_late and reject_on_worker_lost on them",
        )
    elif concerned:
        yield ok("acks_late", f"all {len(concerned)} tasks known to run steps here")
    for pattern in settings.participants:
        if not any(fnmatchcase(name, pattern) for name in mine):
            yield note("saga_participants", f"{pattern!r} matches no task of this app")


def _is_participant(name: str, settings: Settings) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in settings.participants)


def _is_late(app: Celery, name: str) -> bool:
    task = app.tasks[name]
    late = app.conf.task_acks_late if task.acks_late is None else task.acks_late
    lost = app.conf.task_reject_on_worker_lost if task.reject_on_worker_lost is None else task.reject_on_worker_lost
    return bool(late and lost)
