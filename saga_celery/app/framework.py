"""The web framework that this process is part of, as far as sagas care: its database, and its transactions.

A framework's contrib package binds itself here when the framework starts; nothing here knows any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy.engine import URL

from saga_celery.app.transaction import Transaction
from saga_celery.settings import Settings


class FrameworkDatabase(Protocol):
    """The database of a framework that holds the sagas."""

    @property
    def url(self) -> URL:
        """Where it is now; a test runner may turn to another one."""
        ...

    @property
    def engine_options(self) -> Mapping[str, Any]:
        """Arguments for the store's own connections."""
        ...

    @property
    def migrate(self) -> str:
        """The command that brings the tables to this release's form."""
        ...

    @property
    def is_test(self) -> bool:
        """True where a test runner has made the database: it fits, and statements there may be counted."""
        ...

    @property
    def in_transaction(self) -> bool:
        """True while the caller has a transaction open."""
        ...

    def transaction(self, connection: Any | None = None) -> Transaction:
        """The transaction that the caller is in, or a new one where there is none.

        Args:
            connection: of the framework's, where the caller has named one.

        Raises:
            InputRejected: the caller is in a transaction elsewhere, which the rows would not be part of.
        """
        ...


class Framework(Protocol):
    """A framework that is set up in this process."""

    def database(self, settings: Settings) -> FrameworkDatabase:
        """The database that holds the sagas, where `saga_database_url` names no other.

        Raises:
            NotConfigured: there is none of this name, or it is none that can hold sagas.
        """
        ...

    def owns(self, connection: object) -> bool:
        """Tell the framework's own connections."""
        ...

    def end_request(self) -> None:
        """Do with the calling thread's connections what is done at the end of each request.

        For a web server beside the framework's own, of whose requests that does not hear.
        """
        ...


_bound: list[Framework] = []


def bind_framework(framework: Framework) -> None:
    """Make `framework` the one of this process."""
    _bound[:] = [framework]


def current_framework() -> Framework | None:
    """The framework of this process."""
    return _bound[0] if _bound else None
