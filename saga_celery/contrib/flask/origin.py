"""Protection against cross-site request forgery in Flask, whose apps need not have tokens.

A header of our own stands in for one: no form can set it, and no script of another site without the browser asking us
first, which we never allow.
"""

from __future__ import annotations

from flask import Request

from saga_celery.contrib.console.origin import why_elsewhere

HEADER = "X-Saga-Console"


def why_foreign(request: Request) -> str | None:
    """Why a request is not taken for one of our own page; None: it is.

    Args:
        request: one that wants to change something.
    """
    if request.headers.get(HEADER) != "1":
        return f"the header {HEADER}: 1 is missing, which only the page itself and programs send"
    return why_elsewhere(request.headers.get, request.host)
