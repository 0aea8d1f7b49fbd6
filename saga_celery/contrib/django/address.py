"""From a database of Django's settings to the URL at which SQLAlchemy, for workers and command line, finds the same."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from sqlalchemy.engine import URL

from saga_celery.errors import NotConfigured

_NOT_FOR_LIBPQ = frozenset({"isolation_level", "pool", "server_side_binding", "assume_role", "cursor_factory"})
"""Of PostgreSQL's OPTIONS those that Django keeps to itself."""
_FOR_MYSQL = ("charset", "connect_timeout", "read_timeout", "write_timeout", "unix_socket", "read_default_file",
              "read_default_group", "local_infile")  # fmt: skip
_FOR_MYSQL_SSL = ("ca", "cert", "key", "capath", "cipher", "check_hostname")

Settings = Mapping[str, Any]


def url_of(alias: str, settings: Settings) -> URL:
    """The URL of a database.

    Args:
        alias: its name in `DATABASES`.
        settings: what stands there.

    Raises:
        NotConfigured: its engine is none that sagas can be kept in, or its driver is not there.
    """
    engine = str(settings.get("ENGINE", ""))
    make = _MAKERS.get(engine.rpartition(".")[2])
    if make is None:
        raise NotConfigured(
            f"DATABASES[{alias!r}] has the ENGINE {engine!r}: sagas can be kept in PostgreSQL, MariaDB and SQLite; "
            "name another alias with CELERY_SAGA_DATABASE_ALIAS"
        )
    return make(settings)


def _sqlite(settings: Settings) -> URL:
    """Django writes the names of databases in memory as URIs, and shares them between connections."""
    name = str(settings["NAME"])
    uri = name.startswith("file:")
    query = {"uri": "true"} if uri else {}
    if uri and "?" in name:
        name, _, given = name.partition("?")
        query |= dict(pair.partition("=")[::2] for pair in given.split("&"))
    return URL.create("sqlite", database=name, query=query)


def _postgresql(settings: Settings) -> URL:
    options = dict(settings.get("OPTIONS") or {})
    query = {name: str(value) for name, value in options.items() if name not in _NOT_FOR_LIBPQ and value is not None}
    if role := options.get("assume_role"):
        query["options"] = f"{query.get('options', '')} -c role={role}".strip()
    return _server("postgresql+psycopg", settings, query, socket="host")


def _mysql(settings: Settings) -> URL:
    options = dict(settings.get("OPTIONS") or {})
    query = {name: str(options[name]) for name in _FOR_MYSQL if name in options}
    encryption = options.get("ssl") or {}
    query |= {f"ssl_{name}": str(encryption[name]) for name in _FOR_MYSQL_SSL if name in encryption}
    return _server(f"mysql+{_mysql_driver()}", settings, query, socket="unix_socket")


def _mysql_driver() -> str:
    """That which Django uses: PyMySQL where it was installed in the place of mysqlclient."""
    try:
        backend = importlib.import_module("django.db.backends.mysql.base")
    except ImproperlyConfigured as error:
        raise NotConfigured(
            "there is no driver for MariaDB: install mysqlclient, or PyMySQL and call "
            "`pymysql.install_as_MySQLdb()` in the settings"
        ) from error
    return "pymysql" if backend.Database.__name__ == "pymysql" else "mysqldb"


def _server(driver: str, settings: Settings, query: dict[str, str], *, socket: str) -> URL:
    """Of a server; a host that is a path is that of a socket."""
    host = str(settings.get("HOST") or "")
    if host.startswith("/"):
        query[socket], host = host, ""
    return URL.create(
        driver,
        username=settings.get("USER") or None,
        password=settings.get("PASSWORD") or None,
        host=host or None,
        port=int(settings["PORT"]) if settings.get("PORT") else None,
        database=str(settings["NAME"]) if settings.get("NAME") else None,
        query=query,
    )


_MAKERS: dict[str, Callable[[Settings], URL]] = {
    "sqlite3": _sqlite,
    "postgresql": _postgresql,
    "postgis": _postgresql,
    "spatialite": _sqlite,
    "mysql": _mysql,
}
"""By the last word of `ENGINE`, which other packages that wrap Django's backends keep."""
