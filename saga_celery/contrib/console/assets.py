"""The page: static files, which ask the JSON API beside them for everything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

ASSETS: Mapping[str, str] = {
    "index.html": "text/html; charset=utf-8",
    "console.css": "text/css; charset=utf-8",
    **dict.fromkeys(
        (
            "actions.js",
            "bulk.js",
            "console.js",
            "dialog.js",
            "elements.js",
            "graph.js",
            "list.js",
            "saga.js",
            "server.js",
            "steps.js",
            "timeline.js",
        ),
        "text/javascript; charset=utf-8",
    ),
}
"""Each with its content type. They name each other without a path."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""What every answer carries: no script but ours runs, no other site shows a part of it, and nothing is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A file of the page."""

    body: bytes
    content_type: str


def embedded() -> str:
    """The elements of the page, its script among them, for a page around it that has a `<main>` already.

    Raises:
        ValueError: the page has no body.
    """
    body = re.search(r"<body>(.*)</body>", asset("index.html").body.decode(), re.DOTALL)
    if body is None:
        raise ValueError("the console's page has no body")
    return re.sub(r"(</?)main\b", r"\1div", body[1])


@cache
def asset(name: str) -> Asset:
    """A file of the page.

    Args:
        name: one of `ASSETS`.

    Raises:
        KeyError: there is no such file.
    """
    content_type = ASSETS[name]
    return Asset(body=(files(__package__) / "static" / name).read_bytes(), content_type=content_type)
