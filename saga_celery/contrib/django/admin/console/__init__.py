"""The web console within Django's admin."""

from saga_celery.contrib.django.admin.console.routes import SagaConsole

__all__ = ["SagaConsole"]
