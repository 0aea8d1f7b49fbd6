"""The console as a Flask blueprint: the page and its JSON API behind the app's own authorization."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from flask import Blueprint, Response, abort, current_app, g, jsonify, request
from werkzeug.wrappers import Response as AnyResponse

from saga_celery.app import SagaApp
from saga_celery.contrib import console
from saga_celery.contrib.flask.origin import why_foreign
from saga_celery.errors import NotConfigured, SagaError

Authorize: TypeAlias = Callable[[], "str | AnyResponse | None"]
"""Who asks, by name, for the history; None: nobody who may; or what to answer instead, such as a redirect."""
Writable: TypeAlias = "bool | Callable[[str], bool]"

NOBODY = "anonymous"
READ_ONLY = "sagas can only be looked at here; see `writable=` of the blueprint"


def console_blueprint(
    *, authorize: Authorize | None, public: bool, writable: Writable, name: str, why_read_only: str = READ_ONLY
) -> Blueprint:
    """Make the blueprint; see `SagaCelery.blueprint`.

    Args:
        authorize: who asks.
        public: there may be no `authorize`.
        writable: who may act.
        name: of the blueprint.
        why_read_only: what somebody is told who may not.

    Raises:
        NotConfigured: it would be open to everybody, unasked.
    """
    if authorize is None and not public:
        raise NotConfigured(
            "the sagas' blueprint needs `authorize=`, a function without arguments that returns the name of who asks, "
            "or None; a console that everybody may read wants `public=True`"
        )
    if authorize is None and writable:
        raise NotConfigured("writable=… needs `authorize=`: the history of a saga keeps who asked for what")
    blueprint = Blueprint(name, __name__)
    blueprint.before_request(_gate(authorize))
    blueprint.after_request(_with_headers)
    blueprint.register_error_handler(SagaError, _problem)
    _add_page(blueprint)
    _add_queries(blueprint, writable)
    _add_actions(blueprint, writable, why_read_only)
    return blueprint


# ---------------------------------------------------------------------------------------------------------- who and how


def _gate(authorize: Authorize | None) -> Callable[[], AnyResponse | None]:
    def check() -> AnyResponse | None:
        who = NOBODY if authorize is None else authorize()
        if isinstance(who, AnyResponse):
            return who
        if not isinstance(who, str) or not who.strip():
            abort(403, "you may not look at sagas here")
        g.saga_console_actor = who
        return None

    return check


def _may_write(writable: Writable) -> bool:
    return writable(g.saga_console_actor) if callable(writable) else writable


def _with_headers(response: Response) -> Response:
    response.headers.update(console.HEADERS)
    return response


def _problem(error: SagaError) -> tuple[Response, int]:
    found = console.problem(error)
    return jsonify(found.body), found.status


def _refuse(status: int, code: str, message: str) -> AnyResponse:
    response = jsonify({"error": code, "message": message})
    response.status_code = status
    return response


def _app() -> SagaApp:
    found: SagaApp = current_app.extensions["saga_celery"]
    return found


# ------------------------------------------------------------------------------------------------------------- the page


def _add_page(blueprint: Blueprint) -> None:
    @blueprint.get("/", defaults={"file": "index.html"})
    @blueprint.get("/<file>")
    def page(file: str) -> Response:
        if file not in console.ASSETS:
            abort(404)
        found = console.asset(file)
        return Response(found.body, content_type=found.content_type)


# -------------------------------------------------------------------------------------------------------------- the API


def _add_queries(blueprint: Blueprint, writable: Writable) -> None:
    @blueprint.get("/api/session")
    def session() -> dict[str, Any]:
        token = current_app.jinja_env.globals.get("csrf_token")  # the app's own, as with Flask-WTF
        return {
            "actor": g.saga_console_actor,
            "writable": _may_write(writable),
            "csrf_token": token() if callable(token) else None,
            "task_url": console.task_url(_app()),
        }

    @blueprint.get("/api/sagas")
    def sagas() -> dict[str, Any]:
        return console.sagas(_app(), request.args)

    @blueprint.get("/api/counts")
    def counts() -> dict[str, Any]:
        return console.counts(_app(), request.args)

    @blueprint.get("/api/matching")
    def matching() -> dict[str, Any]:
        return console.matching(_app(), request.args)

    @blueprint.get("/api/sagas/<saga_id>")
    def saga(saga_id: str) -> dict[str, Any]:
        return console.saga(_app(), saga_id)

    @blueprint.get("/api/sagas/<saga_id>/graph.svg")
    def graph(saga_id: str) -> Response:
        return Response(console.graph(_app(), saga_id), content_type=console.GRAPH_TYPE)


def _add_actions(blueprint: Blueprint, writable: Writable, why_read_only: str) -> None:
    def guarded(act: Callable[[Any], dict[str, Any]]) -> AnyResponse:
        """Act on the body of the request, unless who asks may not, or another site does."""
        foreign = why_foreign(request)
        if foreign is not None:
            return _refuse(403, "csrf", foreign)
        if not _may_write(writable):
            return _refuse(403, "read_only", why_read_only)
        return jsonify(act(request.get_json(silent=True)))

    @blueprint.post("/api/sagas/<saga_id>/<verb>")
    def act(saga_id: str, verb: str) -> AnyResponse:
        return guarded(lambda body: console.act(_app(), saga_id, verb, body, actor=g.saga_console_actor))

    @blueprint.post("/api/bulk/<verb>")
    def act_on_many(verb: str) -> AnyResponse:
        return guarded(lambda body: console.act_on_many(_app(), verb, body, actor=g.saga_console_actor))
