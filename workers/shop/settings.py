"""Django's settings for the shop. What differs from place to place comes from the environment, as `SHOP_…`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

SECRET_KEY = os.environ.get("SHOP_SECRET_KEY", "not a secret: the launcher makes one for each run")
DEBUG = os.environ.get("SHOP_DEBUG", "1") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "saga_celery.contrib.django",
    "saga_celery.contrib.django.barrier",
    "workers.shop.orders",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "workers.shop.urls"
WSGI_APPLICATION = "workers.shop.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "static/"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "orders:counter"
LOGOUT_REDIRECT_URL = "orders:counter"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- the one database: orders, sagas, and the barrier's table -----------------------------------------------------

_ENGINE = os.environ.get("SHOP_DATABASE_ENGINE", "django.db.backends.sqlite3")
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": _ENGINE,
        "NAME": os.environ.get("SHOP_DATABASE_NAME", str(Path.cwd() / "shop.db")),
        "USER": os.environ.get("SHOP_DATABASE_USER", ""),
        "PASSWORD": os.environ.get("SHOP_DATABASE_PASSWORD", ""),
        "HOST": os.environ.get("SHOP_DATABASE_HOST", ""),
        "PORT": os.environ.get("SHOP_DATABASE_PORT", ""),
    }
}
if _ENGINE.endswith("sqlite3"):
    # `timeout` is how long a writer waits for its turn: in SQLite there is one writer at a time.
    DATABASES["default"]["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 60}
elif _ENGINE.endswith("mysql"):
    import pymysql

    pymysql.install_as_MySQLdb()

# -- Celery, and the sagas -----------------------------------------------------------------------------------------

CELERY_BROKER_URL = os.environ.get("SHOP_BROKER_URL", "redis://localhost:6379/0")
CELERY_BROKER_TRANSPORT_OPTIONS = json.loads(os.environ.get("SHOP_BROKER_TRANSPORT_OPTIONS", "{}"))
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_SAGA_PARTICIPANTS = ["orders.*"]

# -- the shop ------------------------------------------------------------------------------------------------------

SHOP_APPROVAL_ABOVE = 50_000
"""Cents of an order above which a member of staff has to say yes."""
SHOP_PACE = float(os.environ.get("SHOP_PACE", "1"))
"""Seconds that each task takes for the sake of whoever watches the page."""
