"""Create a database on a server where it is missing."""

from __future__ import annotations

from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.engine import URL


def create_if_missing(url: str) -> None:
    """Create the database that `url` names, on PostgreSQL or MariaDB; a SQLite file creates itself."""
    target = make_url(url)
    if target.get_backend_name() == "sqlite" or not target.database:
        return
    engine = create_engine(_maintenance(target), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            if not _exists(connection, target):
                name = connection.dialect.identifier_preparer.quote(target.database)
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
    finally:
        engine.dispose()


def _maintenance(target: URL) -> URL:
    # PostgreSQL always connects to some database; the MariaDB client may connect to none.
    if target.get_backend_name() == "postgresql":
        return target.set(database="postgres")
    return target.set(database="information_schema")


def _exists(connection: Connection, target: URL) -> bool:
    catalogue = {
        "postgresql": "SELECT 1 FROM pg_database WHERE datname = :name",
    }.get(target.get_backend_name(), "SELECT 1 FROM information_schema.schemata WHERE schema_name = :name")
    return connection.execute(text(catalogue), {"name": target.database}).first() is not None
