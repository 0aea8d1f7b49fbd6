"""The console's page and API below the list of the admin: who may look, who may act, and what they are answered.

The page is an admin page like any other: who is not logged in is led to the login. The page's own script, which asks
for the rest, is told in JSON, also when a session has ended meanwhile. Tokens against foreign pages are Django's
business.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import update_wrapper
from http import HTTPStatus
from typing import Any, NoReturn

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.middleware.csrf import get_token
from django.template.response import TemplateResponse
from django.urls import path

from saga_celery.app import SagaApp
from saga_celery.contrib import console
from saga_celery.contrib.django.admin.console.page import PAGE, TEMPLATE, body, file, page_headers
from saga_celery.errors import SagaError

STRANGER = "the admin does not know you, or not any more: log in, then reload this page"
NOBODY = "you may not look at sagas here: that needs the permission saga_celery.view_saga"
READ_ONLY = "you may look at sagas here, and no more: to act needs the permission saga_celery.operate_saga"

View = Callable[..., Any]


class SagaConsole:
    """The console of an admin of sagas.

    Args:
        saga_admin: says who may do what, and on which site it is.
    """

    def __init__(self, saga_admin: Any) -> None:
        self._admin = saga_admin

    @property
    def urls(self) -> list[Any]:
        """Its routes, below `console/`; the first that fits answers. Addresses as in the Flask blueprint."""
        return [
            path("console/", self._page(), name=PAGE),
            self._get("api/session", self._session),
            self._get("api/sagas", lambda request: console.sagas(_app(), request.GET.dict())),
            self._get("api/counts", lambda request: console.counts(_app(), request.GET.dict())),
            self._get("api/matching", lambda request: console.matching(_app(), request.GET.dict())),
            self._get("api/sagas/<str:saga_id>", lambda request, saga_id: console.saga(_app(), saga_id)),
            self._get("api/sagas/<str:saga_id>/graph.svg", _graph),
            self._post("api/sagas/<str:saga_id>/<str:verb>", _act),
            self._post("api/bulk/<str:verb>", _act_on_many),
            self._get("<path:name>", _file),
        ]

    # --------------------------------------------------------------------------------------------------- who and how

    def _page(self) -> View:
        return login_not_required(self._admin.admin_site.admin_view(self._show))  # type: ignore[no-any-return]

    def _get(self, route: str, answer: View) -> Any:
        return path(f"console/{route}", self._guarded(answer, "GET", "HEAD"))

    def _post(self, route: str, answer: View) -> Any:
        return path(f"console/{route}", self._guarded(answer, "POST"))

    def _guarded(self, answer: View, *methods: str) -> View:
        """A view that answers those alone who may, and in JSON also what is wrong.

        The admin's own guard stands within, as a site may know more than one way to be somebody.
        """
        site = self._admin.admin_site
        within = site.admin_view(lambda request, **names: self._answered(answer, methods, request, names))

        def view(request: Any, **names: str) -> Any:
            response = within(request, **names) if site.has_permission(request) else _refuse("session", STRANGER)
            return _with(console.HEADERS, response)

        # It asks by itself: LoginRequiredMiddleware would lead a script to the page of the login.
        return login_not_required(update_wrapper(view, answer))  # type: ignore[no-any-return]

    def _answered(self, answer: View, methods: tuple[str, ...], request: Any, names: dict[str, str]) -> Any:
        if request.method not in methods:
            return HttpResponseNotAllowed(methods)
        if not self._admin.has_view_permission(request):
            return _refuse("forbidden", NOBODY)
        if request.method == "POST" and not self._admin.has_operate_permission(request):
            return _refuse("read_only", READ_ONLY)
        try:
            found = answer(request, **names)
        except SagaError as error:
            problem = console.problem(error)
            return JsonResponse(problem.body, status=problem.status)
        return JsonResponse(found) if isinstance(found, dict) else found

    # ------------------------------------------------------------------------------------------------------- answers

    def _show(self, request: Any) -> Any:
        if not self._admin.has_view_permission(request):
            raise PermissionDenied
        site, opts = self._admin.admin_site, self._admin.opts
        known = {"title": "Sagas", "opts": opts, "media": self._admin.media, "body": body()}
        request.current_app = site.name
        return _with(page_headers(), TemplateResponse(request, TEMPLATE, {**site.each_context(request), **known}))

    def _session(self, request: Any) -> dict[str, Any]:
        return {
            "actor": request.user.get_username(),
            "writable": self._admin.has_operate_permission(request),
            "csrf_token": get_token(request),  # wherever Django keeps it: a script can not always read the cookie
            "task_url": console.task_url(_app()),
        }


def _app() -> SagaApp:
    return SagaApp.current()


def _graph(request: Any, saga_id: str) -> Any:
    return HttpResponse(console.graph(_app(), saga_id), content_type=console.GRAPH_TYPE)


def _act(request: Any, saga_id: str, verb: str) -> dict[str, Any]:
    return console.act(_app(), saga_id, verb, _json(request.body), actor=request.user.get_username())


def _act_on_many(request: Any, verb: str) -> dict[str, Any]:
    return console.act_on_many(_app(), verb, _json(request.body), actor=request.user.get_username())


def _file(request: Any, name: str) -> Any:
    try:
        found = file(name)
    except KeyError:
        missing = {"error": "not_found", "message": f"the console has no {name!r}: reload the page"}
        return JsonResponse(missing, status=HTTPStatus.NOT_FOUND)
    return HttpResponse(found.body, content_type=found.content_type)


def _json(body: bytes) -> Any:
    """None where it is none, which the console refuses."""
    try:
        return json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _refuse(code: str, message: str) -> Any:
    return JsonResponse({"error": code, "message": message}, status=HTTPStatus.FORBIDDEN)


def _with(headers: Any, response: Any) -> Any:
    for name, value in headers.items():
        response.headers[name] = value
    return response
