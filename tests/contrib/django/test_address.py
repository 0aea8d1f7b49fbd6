"""The URL of a database, from what stands in `DATABASES`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from saga_celery.errors import NotConfigured
from tests.django_process import configured, load_mysql

POSTGRES = {"ENGINE": "django.db.backends.postgresql", "NAME": "shop"}


def url_of(**settings: Any) -> str:
    configured()
    from saga_celery.contrib.django.address import url_of

    return url_of("default", settings).render_as_string(hide_password=False)


def test_postgresql() -> None:
    plain = url_of(**POSTGRES, USER="ann", PASSWORD="p@ss/w", HOST="db", PORT="5433")
    assert plain == "postgresql+psycopg://ann:p%40ss%2Fw@db:5433/shop"
    assert url_of(**POSTGRES) == "postgresql+psycopg:///shop"
    assert url_of(**POSTGRES, HOST="/run/pg") == "postgresql+psycopg:///shop?host=%2Frun%2Fpg"


def test_options_that_are_for_the_server_go_along_and_those_for_django_stay() -> None:
    options = {"sslmode": "require", "connect_timeout": 3, "isolation_level": 4, "pool": True, "service": None}
    url = sa.make_url(url_of(**POSTGRES, OPTIONS=options))
    assert url.query == {"sslmode": "require", "connect_timeout": "3"}
    role = sa.make_url(url_of(**POSTGRES, OPTIONS={"assume_role": "shop", "options": "-c search_path=sagas"}))
    assert role.query == {"options": "-c search_path=sagas -c role=shop"}


def test_mariadb() -> None:
    configured()
    load_mysql()
    driver = "mysqldb" if importlib.util.find_spec("MySQLdb") else "pymysql"
    settings = {"ENGINE": "django.db.backends.mysql", "NAME": "shop", "USER": "ann", "HOST": "db", "PORT": 3307}
    assert url_of(**settings) == f"mysql+{driver}://ann@db:3307/shop"
    options = {"ssl": {"ca": "/ca.pem"}, "charset": "utf8mb4", "isolation_level": "read committed", "sql_mode": "x"}
    url = sa.make_url(url_of(**{**settings, "HOST": "/run/my.sock", "PORT": ""}, OPTIONS=options))
    assert url.query == {"unix_socket": "/run/my.sock", "charset": "utf8mb4", "ssl_ca": "/ca.pem"}


def test_sqlite(tmp_path: Path) -> None:
    engine = "django.db.backends.sqlite3"
    assert url_of(ENGINE=engine, NAME=tmp_path / "db.sqlite3") == f"sqlite:///{tmp_path}/db.sqlite3"
    memory = sa.make_url(url_of(ENGINE=engine, NAME="file:memorydb_default?mode=memory&cache=shared"))
    assert (memory.database, memory.query) == (
        "file:memorydb_default",
        {"uri": "true", "mode": "memory", "cache": "shared"},
    )


def test_engines_that_wrap_one_of_djangos_and_those_that_do_not() -> None:
    assert url_of(ENGINE="django_prometheus.db.backends.postgresql", NAME="shop").startswith("postgresql+psycopg:")
    with pytest.raises(NotConfigured, match="CELERY_SAGA_DATABASE_ALIAS"):
        url_of(ENGINE="django.db.backends.oracle", NAME="shop")
