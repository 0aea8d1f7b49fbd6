"""The task that posts alerts: a hook of the library's own, one delivery for each webhook."""

from __future__ import annotations

from saga_celery.core.states import Message
from saga_celery.engine.ports import Delivery
from saga_celery.settings import Settings

ALERT = "saga_celery.alert"
"""The task's name."""


def address_of(number: int) -> str:
    """What stands in the place of a task's name in a delivery for the webhook of this number."""
    return f"{ALERT}#{number}"


def hook_message(delivery: Delivery, settings: Settings) -> Message:
    """The message that carries a delivery; an alert goes to the coordinators, so that nothing is to be configured."""
    name, _, number = delivery.task.partition("#")
    if name != ALERT or not number.isdecimal():
        return Message(task=delivery.task, args=(delivery.payload,))
    options = {"queue": settings.queue}
    return Message(task=ALERT, args=(delivery.payload,), kwargs={"webhook": int(number)}, options=options)
