"""Where people find a task in Flower."""

from __future__ import annotations

from urllib.parse import urlsplit

from saga_celery.app import SagaApp
from saga_celery.errors import NotConfigured


def task_url(app: SagaApp) -> str | None:
    """The address of a task, in which `{id}` stands for its id; None: no Flower is known.

    Args:
        app: its setting `saga_flower_url` tells.

    Raises:
        NotConfigured: the setting is no web address.
    """
    address = app.settings.flower_url
    if not address:
        return None
    if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).netloc:
        raise NotConfigured(
            f"saga_flower_url={address!r} is no web address; write for example https://ops.example.com/flower"
        )
    return f"{address.rstrip('/')}/task/{{id}}"
