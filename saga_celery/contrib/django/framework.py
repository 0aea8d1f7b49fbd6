"""Django, as sagas see it."""

from __future__ import annotations

from django.db import close_old_connections, connections

from saga_celery.contrib.django.database import SagaDatabase
from saga_celery.settings import Settings
from saga_celery.store.django import is_django


class DjangoFramework:
    """Meets `saga_celery.app.framework.Framework`.

    Made before any test runner turns the aliases to databases of its own, so that those can be told.
    """

    def __init__(self) -> None:
        self._configured = {alias: connections.settings[alias]["NAME"] for alias in connections.settings}
        self._databases: dict[str, SagaDatabase] = {}

    def database(self, settings: Settings) -> SagaDatabase:
        """The alias that holds the sagas.

        Raises:
            NotConfigured: `DATABASES` has no such alias, or its engine is none that sagas can be kept in.
        """
        alias = settings.database_alias
        found = self._databases.get(alias)
        if found is None:
            found = self._databases[alias] = SagaDatabase(alias, self._configured.get(alias))
        return found

    def owns(self, connection: object) -> bool:
        """Tell Django's connections."""
        return is_django(connection)

    def end_request(self) -> None:
        """Close those that are broken, or older than `CONN_MAX_AGE`."""
        close_old_connections()
