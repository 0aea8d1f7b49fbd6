"""The metrics from a process of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server

from saga_celery.app import SagaApp
from saga_celery.contrib.metrics.collector import SagaCollector
from saga_celery.errors import NotConfigured


@contextmanager
def exporting(sagas: SagaApp, *, host: str, port: int) -> Iterator[str]:
    """Answer scrapes while the block runs. Gives the address.

    Args:
        sagas: the app.
        host: a name or an address to listen at.
        port: 0 for any that is free.

    Raises:
        NotConfigured: nobody can listen there.
    """
    registry, collector = CollectorRegistry(), SagaCollector(sagas)
    registry.register(collector)
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise NotConfigured(
            f"nobody can listen at {host} port {port}: {error.strerror}; name another --port (0: any that is free) or "
            "--host"
        ) from error
    try:
        collector.begin()
        yield f"http://{f'[{host}]' if ':' in host else host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
