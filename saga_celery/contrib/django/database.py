"""The alias of `DATABASES` that holds the sagas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from saga_celery.contrib.django.address import url_of
from saga_celery.contrib.django.transactions import OnDjango
from saga_celery.errors import InputRejected, NotConfigured

_PLACE = ("ENGINE", "NAME", "HOST", "PORT")


class SagaDatabase:
    """Meets `saga_celery.app.framework.FrameworkDatabase`.

    Args:
        alias: its name in `DATABASES`.
        configured: what `NAME` was when Django had been set up.

    Raises:
        NotConfigured: there is no such alias, or its engine is none that sagas can be kept in.
    """

    def __init__(self, alias: str, configured: object) -> None:
        if alias not in connections.settings:
            known = ", ".join(sorted(connections.settings))
            raise NotConfigured(f"CELERY_SAGA_DATABASE_ALIAS={alias!r}, but DATABASES has only {known}")
        self.alias = alias
        self._configured = configured
        self._url_of = self._settings["NAME"], url_of(alias, self._settings)

    @property
    def url(self) -> URL:
        """Where it is now, the same object as long as it stays there."""
        name, url = self._url_of
        if name != self._settings["NAME"]:
            self._url_of = self._settings["NAME"], url_of(self.alias, self._settings)
            return self._url_of[1]
        return url

    @property
    def is_test(self) -> bool:
        """True when a test runner has turned the alias to a database that it made, and will drop."""
        return bool(self._settings["NAME"] != self._configured)

    @property
    def engine_options(self) -> Mapping[str, Any]:
        """A database that is to be dropped must have no connections left, so in tests none is kept."""
        return {"poolclass": NullPool} if self.is_test and self.url.get_backend_name() != "sqlite" else {}

    @property
    def migrate(self) -> str:
        """The command that brings the tables to this release's form."""
        option = "" if self.alias == DEFAULT_DB_ALIAS else f" --database {self.alias}"
        return f"python manage.py migrate{option}"

    @property
    def in_transaction(self) -> bool:
        """True while the calling thread has a transaction open there."""
        return _is_open(connections[self.alias])

    def transaction(self, connection: Any | None = None) -> OnDjango:
        """The transaction that the calling thread is in, or a new one where there is none.

        Args:
            connection: one of Django's to the same database, where the caller has named one.

        Raises:
            InputRejected: the caller's transaction is in another database.
        """
        if connection is not None:
            self._require_same_place(connection)
        elif not self.in_transaction:
            self._refuse_to_leave_a_transaction()
        return OnDjango(connection or connections[self.alias], publishes_plans=not self.is_test)

    def _refuse_to_leave_a_transaction(self) -> None:
        for other in connections.all(initialized_only=True):
            if other.alias != self.alias and other.in_atomic_block:
                raise InputRejected(
                    f"the caller is in transaction.atomic(using={other.alias!r}), but the sagas are in "
                    f"{self.alias!r}, so what is stored now would stay when that one is rolled back: open "
                    f"transaction.atomic(using={self.alias!r}) as well; or, if it is to be stored at once, pass "
                    f"connection=connections[{self.alias!r}] (a TestCase opens one for each of its `databases`)"
                )

    def _require_same_place(self, connection: Any) -> None:
        other = connection.settings_dict
        if any(str(other.get(part)) != str(self._settings.get(part)) for part in _PLACE):
            raise InputRejected(
                f"connection=connections[{connection.alias!r}] is another database than {self.alias!r}, where the "
                "sagas are: pass one to that database, or set CELERY_SAGA_DATABASE_ALIAS"
            )

    @property
    def _settings(self) -> dict[str, Any]:
        """A test runner changes them in place."""
        settings: dict[str, Any] = connections.settings[self.alias]
        return settings


def _is_open(connection: Any) -> bool:
    return bool(connection.in_atomic_block or (connection.connection is not None and not connection.autocommit))
