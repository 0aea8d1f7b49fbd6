"""Which database the sagas of a Flask app are in."""

from __future__ import annotations

from typing import Any

from celery import Celery
from flask import Flask
from sqlalchemy.engine import URL

SETTING = "saga_database_url"


def share_database(app: Flask, celery: Celery) -> None:
    """Keep the sagas in the app's own database, where its configuration says nothing of theirs.

    Only there can a saga and the app's rows commit together. And a path is easily two: Flask-SQLAlchemy looks for
    `sqlite:///shop.db` in the instance folder, everybody else in the current one.

    Args:
        app: the Flask app.
        celery: its Celery app.
    """
    if celery.conf.get(SETTING) is not None:
        return
    url = _url_of(app)
    if url is not None and not _in_memory(url):
        celery.add_defaults(lambda: {SETTING: url.render_as_string(hide_password=False)})


def _url_of(app: Flask) -> URL | None:
    """Of the default engine of Flask-SQLAlchemy; None: the app has none."""
    db: Any = app.extensions.get("sqlalchemy")
    if db is None:
        return None
    with app.app_context():
        engine = db.engines.get(None)
    return None if engine is None else engine.url


def _in_memory(url: URL) -> bool:
    """Such a database is nobody else's, not even a worker's."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")
