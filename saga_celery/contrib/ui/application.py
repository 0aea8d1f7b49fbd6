"""The web app behind `saga ui`: who may come in, under which name, and then the blueprint."""

from __future__ import annotations

from http import HTTPStatus

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from saga_celery.app import SagaApp
from saga_celery.app.framework import current_framework
from saga_celery.contrib import console
from saga_celery.contrib.flask.blueprint import NOBODY, console_blueprint
from saga_celery.contrib.ui.hosts import Hosts
from saga_celery.contrib.ui.logins import Logins

LARGEST_BODY = 4 * 2**20
"""Bytes that somebody may send; `saga_payload_limit` is far below it."""
OF_PROXIES = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")
"""Headers that tell of somebody behind a proxy; some proxies give our own name as the host."""
READ_ONLY = "sagas can only be looked at here; `saga ui --writable` changes that"


def make_app(
    sagas: SagaApp, *, hosts: Hosts, logins: Logins, local_user: str = NOBODY, writable: bool = False
) -> Flask:
    """Make the app.

    Args:
        sagas: what it shows.
        hosts: the names under which it answers.
        logins: who may come in; empty: everybody who reaches it, by the name of `local_user`.
        local_user: the name that stands in the history where nobody logs in.
        writable: whether whoever comes in may act.
    """
    app = Flask("saga_ui", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.extensions["saga_celery"] = sagas
    app.before_request(lambda: _misdirected(hosts))
    app.before_request(lambda: _stranger(logins, local_user))
    app.register_error_handler(HTTPException, _told)
    app.after_request(_with_headers)
    app.teardown_request(_let_go)
    app.register_blueprint(
        console_blueprint(authorize=_who, public=False, writable=writable, name="sagas", why_read_only=READ_ONLY)
    )
    return app


def _misdirected(hosts: Hosts) -> AnyResponse | None:
    if hosts.has(request.headers.get("Host")):
        return None
    message = "this page does not answer under the name that your browser asked for; see `saga ui --allow-host`"
    return _answer(HTTPStatus.MISDIRECTED_REQUEST, message)


def _stranger(logins: Logins, local_user: str) -> AnyResponse | None:
    if not logins and any(name in request.headers for name in OF_PROXIES):
        return _answer(
            HTTPStatus.FORBIDDEN, "a proxy may bring others here than people at this machine: use --basic-auth"
        )
    g.saga_ui_who = _name(logins) if logins else local_user
    if g.saga_ui_who is not None:
        return None
    response = _answer(HTTPStatus.UNAUTHORIZED, "log in: name and password are those of `saga ui --basic-auth`")
    response.headers["WWW-Authenticate"] = 'Basic realm="sagas", charset="UTF-8"'
    return response


def _name(logins: Logins) -> str | None:
    sent = request.authorization
    if sent is None or sent.type != "basic":
        return None
    return logins.who(sent.username or "", sent.password or "")


def _who() -> str:
    who: str = g.saga_ui_who
    return who


def _told(error: HTTPException) -> AnyResponse:
    """Werkzeug's own pages are HTML; what asks here reads JSON."""
    answer = _answer(HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR), error.description or "")
    answer.headers.update({name: value for name, value in error.get_headers() if name == "Allow"})
    return answer


def _answer(status: HTTPStatus, message: str) -> AnyResponse:
    response = jsonify({"error": status.name.lower(), "message": message or status.phrase})
    response.status_code = status
    return response


def _with_headers(response: Response) -> Response:
    """Those of the blueprint, on what the blueprint never saw."""
    response.headers.update(console.HEADERS)
    return response


def _let_go(error: BaseException | None) -> None:
    """Nobody else tells a framework around, Django, that a request has ended."""
    framework = current_framework()
    if framework is not None:
        framework.end_request()
