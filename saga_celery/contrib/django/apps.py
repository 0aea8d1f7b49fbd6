"""The app, as Django knows it."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules

from saga_celery.app.framework import bind_framework
from saga_celery.contrib.django.checks import register_checks
from saga_celery.contrib.django.framework import DjangoFramework


class SagaCeleryConfig(AppConfig):
    """Brings sagas and Django together once Django's apps are ready."""

    name = "saga_celery.contrib.django"
    label = "saga_celery"
    verbose_name = "Sagas"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Lend Django's connections to the saga app, and find the sagas of every installed app."""
        bind_framework(DjangoFramework())
        register_checks()
        autodiscover_modules("sagas")
