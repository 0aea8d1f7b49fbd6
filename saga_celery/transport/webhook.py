"""Posting JSON to an address that somebody configured: over HTTP or HTTPS only, to that address and no other."""

from __future__ import annotations

import hashlib
import hmac
from http.client import HTTPException
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from saga_celery.errors import AlertNotDelivered
from saga_celery.settings import Settings

_OURS = {"Content-Type": "application/json", "User-Agent": "saga-celery"}

TIMEOUT = 10.0
"""Seconds for which a connection, and then an answer, is waited for."""


def flaw(url: object) -> str | None:
    """What is wrong with an address, without a word of it, as it may hold a secret; None: nothing."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        return "it is no printable ASCII text without spaces"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it can not be read as a URL"
    if parts.scheme not in ("http", "https"):
        return "it does not begin with https:// or http://"
    if not host:
        return "it names no host"
    if parts.username is not None or parts.password is not None:
        return "it has a user or a password in it, which would not be sent"
    return None


def host_of(url: str) -> str:
    """What of an address may be shown: a path like Slack's is a secret."""
    return urlsplit(url).hostname or ""


def signature(body: bytes, settings: Settings) -> dict[str, str]:
    """The headers by which a receiver knows that an alert is ours; none where there is no key.

    What is signed begins with a word of its own, so that no receiver is handed the signature of a report.
    """
    if not settings.hmac_keys:
        return {}
    key_id, secret = list(settings.hmac_keys.items())[-1]
    mac = hmac.new(secret.encode(), b"saga-webhook\n" + body, hashlib.sha256).hexdigest()
    return {"X-Saga-Key": key_id, "X-Saga-Signature": f"sha256={mac}"}


def post(url: str, body: bytes, headers: dict[str, str]) -> None:
    """Post a JSON text; the answer counts by its status alone, and nothing of its body is read.

    Args:
        url: the address, without a flaw.
        body: the text.
        headers: those besides the content type.

    Raises:
        AlertNotDelivered: it was answered by anything but 2xx (a redirection is not followed), or by nobody.
    """
    wanted = request.Request(url, body, {**_OURS, **headers}, method="POST")  # noqa: S310
    try:
        with _opener().open(wanted, timeout=TIMEOUT):
            return
    except HTTPError as answer:
        answer.close()
        trouble = f"answered {answer.code}"
    except (URLError, HTTPException, OSError) as failure:
        trouble = f"did not answer ({_words(getattr(failure, 'reason', failure))})"
    raise AlertNotDelivered(f"the webhook at {host_of(url)} {trouble}")


def _words(reason: object) -> str:
    """What kind of trouble it is; of its text only what the system itself says, as others might repeat the address."""
    said = getattr(reason, "strerror", None)
    return f"{type(reason).__name__}: {said}" if said else type(reason).__name__


def _opener() -> request.OpenerDirector:
    """Python's own, without what follows redirections and without the schemes that read files; proxies as usual."""
    opener = request.OpenerDirector()
    for kind in (
        request.ProxyHandler,
        request.HTTPHandler,
        request.HTTPSHandler,
        request.HTTPErrorProcessor,
        request.HTTPDefaultErrorHandler,
        request.UnknownHandler,
    ):
        opener.add_handler(kind())
    return opener
