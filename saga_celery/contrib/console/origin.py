"""Whether a request to change something comes from our own page: protection against cross-site request forgery.

Another site can make a browser send a form, or a simple request, with the person's cookies or password. It can neither
make it JSON without the browser asking us first (which we never allow), nor hide where the request comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit


def why_elsewhere(headers: Mapping[str, str], host: str) -> str | None:
    """Why a request is taken for one of another site; None: it is not.

    Args:
        headers: of the request, whose names may be written in any case.
        host: what the browser asked, with its port.
    """
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return "what is sent is no application/json"
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site is not None:
        return None if site == "same-origin" else f"the request comes from another site (Sec-Fetch-Site: {site})"
    if origin is not None and urlsplit(origin).netloc != host:
        return f"the request comes from another site (Origin: {origin})"
    return None  # a program: a browser would have said where it comes from
