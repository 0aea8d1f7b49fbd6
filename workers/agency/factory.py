"""The app factory, with Celery as in Flask's own documentation."""

from __future__ import annotations

from typing import Any

from celery import Celery, Task
from flask import Flask
from flask_wtf.csrf import CSRFProtect

from saga_celery.contrib.flask import SagaCelery
from workers.agency import bookings, staff
from workers.agency.database import db, engine_options

sagas = SagaCelery()
csrf = CSRFProtect()


def create_app() -> Flask:
    """The agency. `AGENCY_…` in the environment is its configuration, as in `AGENCY_CELERY__broker_url`.

    Raises:
        RuntimeError: `AGENCY_SECRET_KEY` is not set, without which nobody could be told from anybody else.
    """
    app = Flask(__name__)
    app.config.from_mapping(
        SQLALCHEMY_DATABASE_URI="sqlite:///agency.db",
        CELERY={
            "broker_url": "redis://localhost:6379/0",
            "broker_connection_retry_on_startup": True,
            "task_ignore_result": True,
            "worker_prefetch_multiplier": 1,
        },
        SESSION_COOKIE_SAMESITE="Lax",
        APPROVAL_FROM_CENTS=500_000,
        PACE=0.0,  # seconds that airlines and banks take for each thing
    )
    app.config.from_prefixed_env("AGENCY")
    if not app.config["SECRET_KEY"]:
        raise RuntimeError("set AGENCY_SECRET_KEY to a long random text; `python -m workers.agency` makes one")
    app.config.setdefault("SQLALCHEMY_ENGINE_OPTIONS", engine_options(app.config["SQLALCHEMY_DATABASE_URI"]))
    app.jinja_env.filters["euros"] = lambda cents: f"€ {cents / 100:,.2f}"

    db.init_app(app)
    csrf.init_app(app)
    celery_init_app(app)
    sagas.init_app(app)
    app.register_blueprint(staff.pages)
    app.register_blueprint(bookings.pages)
    console = sagas.blueprint(authorize=staff.who_looks_at_sagas, writable=staff.may_operate)
    app.register_blueprint(console, url_prefix="/sagas")
    return app


def celery_init_app(app: Flask) -> Celery[Any]:
    """As https://flask.palletsprojects.com/en/stable/patterns/celery/ has it."""

    class FlaskTask(Task):  # type: ignore[type-arg]
        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app: Celery[Any] = Celery(app.name, task_cls=FlaskTask)
    celery_app.config_from_object(app.config["CELERY"])
    celery_app.set_default()
    app.extensions["celery"] = celery_app
    return celery_app
