"""Who has a hand in what is published: Celery alone, or also those that wrap it or listen to it."""

from __future__ import annotations

from typing import Any

from celery import Celery, signals

_OURS = "saga_celery."


def is_plain(celery: Celery) -> bool:
    """Tell whether Celery's own code makes the messages, in the form that is known here: nobody has put code of their
    own round the way by which it sends tasks.

    Args:
        celery: the user's app.
    """
    send, conf = celery.send_task, celery.conf
    wrapped = send.__module__ != Celery.__module__ or hasattr(send, "__wrapped__")
    return not wrapped and conf.task_protocol == 2


def only_celery_publishes(celery: Celery) -> bool:
    """Tell whether a message is what Celery makes of it: nobody wraps it, and none but us listens before it goes out,
    who might add headers.

    Args:
        celery: the user's app.
    """
    if not is_plain(celery) or celery.conf.task_inherit_parent_priority:
        return False
    return all(_module(listener).startswith(_OURS) for _, listener in signals.before_task_publish.receivers or ())


def _module(listener: Any) -> str:
    """Celery keeps listeners by weak references, unless it was asked not to."""
    found = listener() if hasattr(listener, "__callback__") else listener
    return getattr(found, "__module__", None) or ""
