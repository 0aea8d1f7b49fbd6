"""The console's page within the admin's: its own elements, in the frame of every other page of the site."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from urllib.parse import urlsplit

from django.templatetags.static import static
from django.utils.safestring import SafeString, mark_safe

from saga_celery.contrib import console
from saga_celery.contrib.console import Asset

TEMPLATE = "admin/saga_celery/saga/console.html"
PAGE = "saga_celery_saga_console"
"""The name of its URL among the admin's."""
_OWN = {"frame.css": "text/css; charset=utf-8", "frame.js": "text/javascript; charset=utf-8"}


def page_headers() -> Mapping[str, str]:
    """Those of the console, but for what an admin page needs: its files from wherever they are, and its "Log out".

    Without a referrer a browser would not say where that form comes from, and Django refuse it.
    """
    source = " ".join(("'self'", *_static_origin()))
    policy = (
        f"default-src 'none'; script-src {source}; style-src {source}; connect-src 'self'; font-src {source}; "
        f"img-src {source}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return {**console.HEADERS, "Content-Security-Policy": policy, "Referrer-Policy": "same-origin"}


def body() -> SafeString:
    """The elements of the console's page and its scripts, for a page that has a `<main>` already."""
    return mark_safe(console.embedded())  # noqa: S308 - a file of ours


def file(name: str) -> Asset:
    """A file that the page asks for.

    Args:
        name: one of `console.ASSETS`, or of those that fit the page into the admin's.

    Raises:
        KeyError: there is no such file.
    """
    return _own(name) if name in _OWN else console.asset(name)


@cache
def _own(name: str) -> Asset:
    return Asset(body=(files(__package__) / "static" / name).read_bytes(), content_type=_OWN[name])


def _static_origin() -> tuple[str, ...]:
    """Of the admin's files, where they are on another host."""
    address = urlsplit(static("admin/css/base.css"))
    return (f"{address.scheme or 'https'}://{address.netloc}",) if address.netloc else ()
