"""The address of a database: a URL that SQLAlchemy can open, on one of the databases that we know."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine import URL

from saga_celery.errors import NotConfigured

KNOWN = {
    "postgresql": ("postgresql+psycopg", "pip install 'saga-celery[postgres]'"),
    "mysql": ("mysql+pymysql", "pip install 'saga-celery[mysql]'"),
    "mariadb": ("mariadb+pymysql", "pip install 'saga-celery[mysql]'"),
    "sqlite": ("sqlite", ""),
}
"""What a URL of each database begins with, and what brings its driver."""
_MISSPELT = {"postgres": "postgresql", "pgsql": "postgresql", "psycopg": "postgresql", "sqlite3": "sqlite"}


def address(given: str | URL) -> URL:
    """The URL of a database that can be opened here; nothing is connected.

    Args:
        given: as the user wrote it. No sentence quotes it, as it may hold a password.

    Raises:
        NotConfigured: it is no URL, of a database that we do not know, or its driver is not installed or an
            asynchronous one; says what to write or to install.
    """
    url = _parsed(given)
    begins, install = KNOWN.get(url.get_backend_name()) or _refuse_database(url)
    begun = f"a database URL (saga_database_url) begins with {url.drivername}://"
    try:
        dialect = url.get_dialect()
        dialect.import_dbapi()
    except exc.ArgumentError as error:
        raise NotConfigured(f"{begun}, and SQLAlchemy has no such driver: write {begins}://") from error
    except ImportError as error:
        way = f"{install}, and write {begins}://" if url.drivername != begins else install
        raise NotConfigured(f"{begun}, whose driver is not installed ({error}): {way}") from error
    if dialect.is_async:
        raise NotConfigured(f"{begun}, which is for asyncio, and sagas work without it: write {begins}://")
    return url


def _parsed(given: str | URL) -> URL:
    try:
        return sa.make_url(given)
    except (exc.ArgumentError, ValueError):
        raise NotConfigured(
            "a database URL (saga_database_url) can not be read: write postgresql+psycopg://user:password@host/name, "
            "mysql+pymysql://user:password@host/name or sqlite:///path, with %40 for an @ in a password"
        ) from None  # its text may quote the password


def _refuse_database(url: URL) -> tuple[str, str]:
    meant = _MISSPELT.get(url.get_backend_name())
    ways = KNOWN[meant][0] + "://" if meant else ", ".join(f"{begins}://" for begins, _ in KNOWN.values())
    raise NotConfigured(
        f"a database URL (saga_database_url) begins with {url.drivername}://, which is no database that sagas can be "
        f"kept in: write {ways}"
    )
