"""The metrics as a view of a Django project: `path("metrics", metrics_view(…))`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from saga_celery.app import SagaApp
from saga_celery.contrib.metrics.exposition import Exposition, bearer, require_readers

Authorize: TypeAlias = Callable[[HttpRequest], bool]
View: TypeAlias = Callable[..., HttpResponse]


def metrics_view(*, token: str | None = None, authorize: Authorize | None = None, public: bool = False) -> View:
    """Make the view. Of the three, exactly one says who may read.

    Args:
        token: who sends it as `Authorization: Bearer …`, which Prometheus does with `authorization: credentials`.
        authorize: tells whether a request may read: `lambda request: request.user.is_staff`.
        public: everybody may who can reach the page.

    Raises:
        NotConfigured: it is not said who may read.
    """
    require_readers(token=token, authorize=authorize, public=public)
    knows = None if token is None else bearer(token)

    @cache
    def exposition() -> Exposition:
        return Exposition(SagaApp.current())

    def metrics(request: HttpRequest) -> HttpResponse:
        if knows is not None and not knows(request.headers.get("Authorization")):
            return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
        if authorize is not None and not authorize(request):
            return HttpResponseForbidden("you may not read the metrics of the sagas here")
        text = exposition().text(request.headers.get("Accept", ""))
        return HttpResponse(text.body, content_type=text.content_type)

    view: Any = never_cache(require_safe(metrics))
    return view  # type: ignore[no-any-return] # Django ships no types
