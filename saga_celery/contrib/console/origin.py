"""Whether a request to change something comes from our own page: protection against cross-site request forgery.

Another site can make a browser send a form, or a simple request, with the person's cookies or password. It can neither
make it JSON without the browser asking us first (which we never allow), nor hide where the request comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit


def why_elsewhere(header: Callable[[str], str | None], host: str) -> str | None:
    """Why a request is taken for one of another site; None: it is not.

    Args:
        header: gives one of the request, by its name in any case.
        host: what the browser asked, with its port.
    """
    kind = (header("Content-Type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return "what is sent is no application/json"
    site, origin = header("Sec-Fetch-Site"), header("Origin")
    if site is not None:
        return None if site == "same-origin" else f"the request comes from another site (Sec-Fetch-Site: {site})"
    if origin is not None and urlsplit(origin).netloc != host:
        return f"the request comes from another site (Origin: {origin})"
    return None  # a program: a browser would have said where it comes from
