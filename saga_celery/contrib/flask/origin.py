"""Whether a request to change something comes from our own page: protection against cross-site request forgery.

Another site can make a browser send a form, or a simple request, with the person's cookies. It can neither set a header
of its own without the browser asking us first (which we never allow), nor hide where the request comes from.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Request

HEADER = "X-Saga-Console"
"""A header that no form can set."""


def why_foreign(request: Request) -> str | None:
    """Why a request is not taken for one of our own page; None: it is.

    Args:
        request: one that wants to change something.
    """
    if request.headers.get(HEADER) != "1":
        return f"the header {HEADER}: 1 is missing, which only the page itself and programs send"
    if not request.is_json:
        return "what is sent is no application/json"
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        return None if site == "same-origin" else f"the request comes from another site (Sec-Fetch-Site: {site})"
    if origin is not None and urlsplit(origin).netloc != request.host:
        return f"the request comes from another site (Origin: {origin})"
    return None  # a program: a browser would have said where it comes from
