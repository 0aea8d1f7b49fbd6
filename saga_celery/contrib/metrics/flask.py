"""The metrics as a page of a Flask app."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from flask import Blueprint, Response, abort, current_app, request
from flask.blueprints import BlueprintSetupState
from werkzeug.wrappers import Response as AnyResponse

from saga_celery.app import SagaApp
from saga_celery.contrib.metrics.exposition import Exposition, bearer, require_readers
from saga_celery.errors import NotConfigured

EXTENSION = "saga_celery_metrics"
Authorize: TypeAlias = Callable[[], "str | AnyResponse | None"]
"""Who asks, by name; None: nobody who may; or what to answer instead."""


def metrics_blueprint(*, token: str | None, authorize: Authorize | None, public: bool, name: str) -> Blueprint:
    """Make the blueprint; see `saga_celery.contrib.flask.SagaCelery.metrics`.

    Raises:
        NotConfigured: it is not said who may read.
    """
    require_readers(token=token, authorize=authorize, public=public)
    blueprint = Blueprint(name, __name__)
    blueprint.record(_expose)
    knows = None if token is None else bearer(token)

    @blueprint.get("/metrics")
    def metrics() -> AnyResponse:
        if knows is not None and not knows(request.headers.get("Authorization")):
            return Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        who = authorize() if authorize is not None else "anybody"
        if isinstance(who, AnyResponse):
            return who
        if not who:
            abort(403, "you may not read the metrics of the sagas here")
        exposition: Exposition = current_app.extensions[EXTENSION]
        text = exposition.text(request.headers.get("Accept", ""))
        return Response(text.body, content_type=text.content_type, headers={"Cache-Control": "no-store"})

    return blueprint


def _expose(state: BlueprintSetupState) -> None:
    """One for each app, also where a factory makes several."""
    sagas = state.app.extensions.get("saga_celery")
    if not isinstance(sagas, SagaApp):
        raise NotConfigured(
            f"the Flask app {state.app.name!r} has no sagas yet: call `SagaCelery().init_app(app)` before the "
            "blueprint of the metrics is registered"
        )
    state.app.extensions[EXTENSION] = Exposition(sagas)
