"""What can be asked of the console, written down: a route that is added without an entry here fails a test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
UNWANTED = {"reason": "unwanted"}
MANY = {**UNWANTED, "ids": ()}
"""The saga stands in for the ids."""
OURS = {"X-Saga-Console": "1"}
"""What the page and programs send along."""


@dataclass(frozen=True)
class Route:
    """One that is asked for in the tests; `{id}` in it is a saga that has just been started."""

    path: str
    body: Mapping[str, Any] | None = None
    """What is posted: this route acts."""

    @property
    def acts(self) -> bool:
        return self.body is not None

    @property
    def method(self) -> str:
        return "POST" if self.acts else "GET"

    @property
    def others(self) -> Iterable[str]:
        """Methods by which nothing may happen."""
        own = ("POST",) if self.acts else ("GET", "HEAD")
        return (each for each in METHODS if each not in own)

    def of(self, saga_id: str) -> str:
        return self.path.format(id=saga_id)

    def sent(self, saga_id: str) -> Any:
        """What is posted; None where nothing is."""
        if self.body is None:
            return None
        return {name: [saga_id] if name == "ids" else value for name, value in self.body.items()}


ROUTES: Mapping[str, Route] = {
    "GET /": Route(""),
    "GET /<file>": Route("console.js"),
    "GET /api/session": Route("api/session"),
    "GET /api/sagas": Route("api/sagas"),
    "GET /api/counts": Route("api/counts"),
    "GET /api/sagas/<saga_id>": Route("api/sagas/{id}"),
    "GET /api/sagas/<saga_id>/graph.svg": Route("api/sagas/{id}/graph.svg"),
    "GET /api/matching": Route("api/matching"),
    "POST /api/sagas/<saga_id>/<verb>": Route("api/sagas/{id}/cancel", UNWANTED),
    "POST /api/bulk/<verb>": Route("api/bulk/cancel", MANY),
}
"""By method and rule of the Flask blueprint."""

IN_FLOWER: Mapping[str, Route] = {
    "Door /sagas": Route("sagas"),
    "Page /sagas/": Route("sagas/"),
    "File /sagas/(FILES)": Route("sagas/console.js"),
    "Session /sagas/api/session": Route("sagas/api/session"),
    "Sagas /sagas/api/sagas": Route("sagas/api/sagas"),
    "Counts /sagas/api/counts": Route("sagas/api/counts"),
    "OneSaga /sagas/api/sagas/([^/]+)": Route("sagas/api/sagas/{id}"),
    r"Graph /sagas/api/sagas/([^/]+)/graph\.svg": Route("sagas/api/sagas/{id}/graph.svg"),
    "Matching /sagas/api/matching": Route("sagas/api/matching"),
    "Action /sagas/api/sagas/([^/]+)/([^/]+)": Route("sagas/api/sagas/{id}/cancel", UNWANTED),
    "BulkAction /sagas/api/bulk/([^/]+)": Route("sagas/api/bulk/cancel", MANY),
}
"""By handler and pattern."""

IN_ADMIN: Mapping[str, Route] = {
    "console/": Route("console/"),
    "console/api/session": Route("console/api/session"),
    "console/api/sagas": Route("console/api/sagas"),
    "console/api/counts": Route("console/api/counts"),
    "console/api/matching": Route("console/api/matching"),
    "console/api/sagas/<str:saga_id>": Route("console/api/sagas/{id}"),
    "console/api/sagas/<str:saga_id>/graph.svg": Route("console/api/sagas/{id}/graph.svg"),
    "console/api/sagas/<str:saga_id>/<str:verb>": Route("console/api/sagas/{id}/cancel", UNWANTED),
    "console/api/bulk/<str:verb>": Route("console/api/bulk/cancel", MANY),
    "console/<path:name>": Route("console/console.js"),
}
"""By the pattern below the list of Django's admin."""


def rules(url_map: Any, prefix: str = "") -> set[str]:
    """What a Flask app answers below a path, as the keys of `ROUTES` have it."""
    return {
        f"{method} {rule.rule.removeprefix(prefix)}"
        for rule in url_map.iter_rules()
        if rule.rule.startswith(prefix)
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
