"""The metrics of the sagas in Flower's own `/metrics`, which tells whatever is in prometheus_client's registry."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY, CollectorRegistry

from saga_celery.app import SagaApp
from saga_celery.contrib.metrics.collector import SagaCollector

PATIENCE = 2.0
"""Seconds for which a database that does not answer may keep Flower waiting, which answers nobody else meanwhile."""

_registered: WeakKeyDictionary[CollectorRegistry, SagaCollector] = WeakKeyDictionary()


def add_to(celery: Any, registry: CollectorRegistry = REGISTRY) -> None:
    """Add the metrics of an app; they take the place of those of another one that was added before.

    Args:
        celery: the app.
        registry: where Flower looks.

    Raises:
        NotConfigured: the app has no sagas.
        ValueError: something else there has the name of one of our metrics.
    """
    collector = SagaCollector(SagaApp.of(celery), patience=PATIENCE)
    before = _registered.pop(registry, None)
    if before is not None:
        registry.unregister(before)
    registry.register(collector)
    _registered[registry] = collector
