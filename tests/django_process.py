"""Django in the test process, where it can be set up but once; its databases are those of the test at hand.

On MariaDB Django's backend runs on PyMySQL, which stands in for mysqlclient.
"""

import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import django
import pymysql
import pytest
import sqlalchemy as sa
from django.conf import settings
from django.db import connections, models
from django.db.utils import load_backend

from saga_celery.app import framework

_BACKENDS = {
    "sqlite": "django.db.backends.sqlite3",
    "postgresql": "django.db.backends.postgresql",
    "mysql": "django.db.backends.mysql",
}
_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.admin",
    "saga_celery.contrib.django",
    "saga_celery.contrib.django.barrier",
]
_MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
_CONTEXT = [
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
]

_once = threading.Lock()
_models: list[type[models.Model]] = []


def configured() -> type[models.Model]:
    """Set Django up with the sagas' app and one model; leaves logging and the time zone of the process alone.

    The app's framework is unbound again: other tests of this process have nothing to do with Django.
    """
    with _once:
        if not _models:
            settings.configure(
                DATABASES={},
                INSTALLED_APPS=_APPS,
                LOGGING_CONFIG=None,
                USE_TZ=True,
                TIME_ZONE="America/Chicago",
                SECRET_KEY="of no use",
                ALLOWED_HOSTS=["*"],
                ROOT_URLCONF="tests.contrib.django.urls",
                STATIC_URL="/static/",
                MIDDLEWARE=_MIDDLEWARE,
                PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
                TEMPLATES=[
                    {
                        "BACKEND": "django.template.backends.django.DjangoTemplates",
                        "APP_DIRS": True,
                        "OPTIONS": {"context_processors": _CONTEXT},
                    }
                ],
            )
            django.setup()
            framework._bound.clear()
            _models.append(_make_model())
    return _models[0]


def _make_model() -> type[models.Model]:
    class Effect(models.Model):
        id = models.AutoField(primary_key=True)
        what = models.CharField(max_length=100)

        class Meta:
            app_label = "participant"
            db_table = "effect"
            managed = False

    return Effect


@contextmanager
def databases(**aliases: dict[str, Any]) -> Iterator[None]:
    """Let `DATABASES` be these as long as the block lasts."""
    configured()
    if any(each["ENGINE"] == _BACKENDS["mysql"] for each in aliases.values()):
        load_mysql()
    for alias in aliases:
        with suppress(AttributeError):  # one that Django looked at while it was set up
            del connections[alias]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "settings", connections.configure_settings(aliases))
        try:
            yield
        finally:
            for alias in aliases:
                connections[alias].close()
                del connections[alias]  # the next test's is another


def database_settings(url: str, **more: Any) -> dict[str, Any]:
    """What stands in `DATABASES` for a URL of SQLAlchemy's."""
    parts = sa.make_url(url)
    return {
        "ENGINE": _BACKENDS[parts.get_backend_name()],
        "NAME": parts.database,
        "USER": parts.username or "",
        "PASSWORD": parts.password or "",
        "HOST": parts.host or parts.query.get("host", ""),
        "PORT": str(parts.port or ""),
        **more,
    }


def load_mysql() -> None:
    """Django's backend, on mysqlclient where it is installed, else on PyMySQL in its place, for this import alone."""
    if importlib.util.find_spec("MySQLdb") is not None:
        return
    with pytest.MonkeyPatch.context() as patch:
        for part in ("", ".constants", ".converters"):
            patch.setitem(sys.modules, f"MySQLdb{part}", sys.modules[f"{pymysql.__name__}{part}"])
        load_backend(_BACKENDS["mysql"])
