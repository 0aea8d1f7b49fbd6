"""`SagaCelery`: the Flask extension, in the manner of Flask's own pattern for Celery (`celery_init_app`)."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from celery import Celery
from flask import Blueprint, Flask

from saga_celery.app import SagaApp
from saga_celery.contrib.flask.blueprint import Authorize, Writable, console_blueprint
from saga_celery.contrib.flask.database import share_database
from saga_celery.errors import NotConfigured

EXTENSION = "saga_celery"
"""Where the saga app of a Flask app is: `app.extensions["saga_celery"]`."""


class SagaCelery:
    """Sagas for Flask apps.

    It keeps nothing of an app, so one may stand beside `db = SQLAlchemy()` and serve every app that a factory makes.
    The sagas are those of the Celery app in `app.extensions["celery"]`, whose configuration, `app.config["CELERY"]`,
    holds the `saga_*` settings. Where that names no `saga_database_url` and the app has Flask-SQLAlchemy, the sagas are
    in the database of that.

    Args:
        app: a Flask app that has its Celery app already; None: call `init_app` in the factory.
        autodiscover: packages whose module `sagas` is imported with the app, so that each of its processes knows them.

    Raises:
        NotConfigured: see `init_app`.
    """

    def __init__(self, app: Flask | None = None, *, autodiscover: Iterable[str] = ()) -> None:
        self._packages = (autodiscover,) if isinstance(autodiscover, str) else tuple(autodiscover)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Add sagas to the Celery app of a Flask app.

        Args:
            app: after `celery_init_app(app)`, and after `db.init_app(app)` where it has Flask-SQLAlchemy.

        Raises:
            NotConfigured: it has no Celery app yet, or a package of `autodiscover` has no module `sagas`.
        """
        celery = _celery_of(app)
        share_database(app, celery)
        app.extensions[EXTENSION] = _saga_app_of(celery)
        for package in self._packages:
            _import_sagas(package)

    def blueprint(
        self,
        *,
        authorize: Authorize | None = None,
        writable: Writable = False,
        public: bool = False,
        name: str = "sagas",
    ) -> Blueprint:
        """The sagas as a web page with a JSON API: `app.register_blueprint(sagas.blueprint(…), url_prefix="/sagas")`.

        Args:
            authorize: called before each request: the name of who asks, which the history of a saga keeps; None for
                nobody who may; or the response to give instead, such as a redirect to the login page.
            writable: whether sagas may be operated: True, False, or what tells it of a name.
            public: everybody may read. Nobody may operate then.
            name: of the blueprint.

        Raises:
            NotConfigured: there is no `authorize`, and `public` is not asked for; or nobody would be named who acts.
        """
        return console_blueprint(authorize=authorize, public=public, writable=writable, name=name)

    def metrics(
        self,
        *,
        token: str | None = None,
        authorize: Authorize | None = None,
        public: bool = False,
        name: str = "saga_metrics",
    ) -> Blueprint:
        """The sagas' metrics for Prometheus, at `/metrics`: `app.register_blueprint(sagas.metrics(token="…"))`.

        Of `token`, `authorize` and `public`, exactly one says who may read.

        Args:
            token: who sends it as `Authorization: Bearer …`, which Prometheus does with `authorization: credentials`.
            authorize: called before each request: the name of who asks; None for nobody who may; or the response to
                give instead.
            public: everybody may who can reach the page.
            name: of the blueprint.

        Raises:
            NotConfigured: it is not said who may read, or the extra `metrics` is not installed.
        """
        try:
            from saga_celery.contrib.metrics.flask import metrics_blueprint
        except ImportError as error:
            raise NotConfigured(f'{error}; metrics come with: pip install "saga-celery[metrics]"') from error
        return metrics_blueprint(token=token, authorize=authorize, public=public, name=name)


def _celery_of(app: Flask) -> Celery:
    celery = app.extensions.get("celery")
    if not isinstance(celery, Celery):
        raise NotConfigured(
            f"the Flask app {app.name!r} has no Celery app in app.extensions['celery']: call `celery_init_app(app)`, "
            "as in Flask's documentation on Celery, before `SagaCelery().init_app(app)`"
        )
    return celery


def _saga_app_of(celery: Celery) -> SagaApp:
    """The one that is there already, where a factory calls `init_app` twice."""
    try:
        return SagaApp.of(celery)
    except NotConfigured:
        return SagaApp(celery)


def _import_sagas(package: str) -> None:
    name = f"{package}.sagas"
    try:
        import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name is None or not f"{name}.".startswith(f"{missing.name}."):
            raise  # the module is there, and imports something that is not
        raise NotConfigured(
            f"autodiscover: there is no module {name}; write it, or take {package!r} out of `autodiscover=`"
        ) from missing
