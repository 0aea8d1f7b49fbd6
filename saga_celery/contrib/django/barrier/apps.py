"""The app, as Django knows it."""

from __future__ import annotations

from django.apps import AppConfig


class SagaBarrierConfig(AppConfig):
    """Holds the barrier's table."""

    name = "saga_celery.contrib.django.barrier"
    label = "saga_celery_barrier"
    verbose_name = "Barrier of sagas"
    default_auto_field = "django.db.models.BigAutoField"
