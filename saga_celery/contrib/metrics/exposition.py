"""The metrics as text, in whichever form a scraper asks for, and who may have them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from saga_celery.app import SagaApp
from saga_celery.contrib.metrics.collector import SagaCollector
from saga_celery.errors import NotConfigured


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """What a scrape is answered."""

    body: bytes
    content_type: str


class Exposition:
    """The metrics of one app, and of nothing else in its process.

    Args:
        sagas: the app.
    """

    def __init__(self, sagas: SagaApp) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(SagaCollector(sagas))

    def text(self, accept: str) -> Text:
        """Read the database and tell.

        Args:
            accept: the header `Accept` of the request.
        """
        encode, content_type = choose_encoder(accept)
        return Text(body=encode(self.registry), content_type=content_type)


def bearer(token: str) -> Callable[[str | None], bool]:
    """Tells whether the header `Authorization` of a request carries a token. How long that takes tells nothing of it.

    Args:
        token: what Prometheus has as `credentials` in `authorization`.
    """
    wanted = f"Bearer {token}".encode()
    return lambda given: compare_digest((given or "").encode(errors="replace"), wanted)


def require_readers(*, token: str | None, authorize: object | None, public: bool) -> None:
    """Refuse a page of which nobody said who may read it.

    Raises:
        NotConfigured: none of the three is given, or more than one.
    """
    if (token is not None) + (authorize is not None) + bool(public) != 1:
        raise NotConfigured(
            'say who may read the metrics of the sagas, in one way: token="…" (Prometheus\' `authorization: '
            "credentials`), authorize=a function that tells it of a request, or public=True for everybody who can "
            "reach the page"
        )
    if token is not None and not token.strip():
        raise NotConfigured("token= is empty, so anybody could guess it: is the variable that it comes from set?")
