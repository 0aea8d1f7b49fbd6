"""Everything that the transport adds to a Celery app, in one call."""

from __future__ import annotations

from weakref import WeakSet

from celery import Celery

from saga_celery.engine.redaction import Redaction
from saga_celery.transport.bootstep import install_bootstep
from saga_celery.transport.participant import Participant
from saga_celery.transport.runtime import Runtime
from saga_celery.transport.shown import redact_retries
from saga_celery.transport.tasks import register

_installed: WeakSet[Celery] = WeakSet()


def install(runtime: Runtime) -> bool:
    """Add the coordinator's tasks, the wrapper round participants and the worker's step; a second call does nothing.

    Nothing is connected and no setting is read until a worker starts or a message comes.

    Args:
        runtime: the composed parts of this process.

    Returns:
        False: it was done already.
    """
    if runtime.celery in _installed:
        return False
    _installed.add(runtime.celery)
    register(runtime)
    Participant(runtime).install()
    install_bootstep(runtime)
    redact_retries(runtime.celery, lambda: Redaction(runtime.settings.redact))
    return True
