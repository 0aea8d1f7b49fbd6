"""Which database the tables of sagas are in, where a project has several."""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS

from saga_celery.app import SagaApp
from saga_celery.contrib.django.apps import SagaCeleryConfig
from saga_celery.errors import NotConfigured

LABEL = SagaCeleryConfig.label


class SagaRouter:
    """Keeps the models, and the migrations, of sagas to the alias that `CELERY_SAGA_DATABASE_ALIAS` names.

    `DATABASE_ROUTERS = ["saga_celery.contrib.django.routers.SagaRouter"]`
    """

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        """The saga database, for sagas."""
        return saga_alias() if model._meta.app_label == LABEL else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        """There, and nowhere else."""
        return db == saga_alias() if app_label == LABEL else None


def saga_alias() -> str:
    """The alias that the app is configured with; where there is no app, as the checks tell, the default one."""
    try:
        return SagaApp.current().settings.database_alias
    except NotConfigured:
        return str(DEFAULT_DB_ALIAS)
