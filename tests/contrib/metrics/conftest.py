"""A shop whose sagas the tests move by hand, and what Prometheus would see of it."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from saga_celery import SagaApp
from saga_celery.contrib.metrics.collector import SagaCollector
from tests.cli.conftest import own_registry, shop, unmigrated

__all__ = ["own_registry", "shop", "unmigrated"]


class Scraper:
    """What one Prometheus sees of an app.

    Args:
        sagas: the app.
    """

    def __init__(self, sagas: SagaApp, *, patience: float = 60.0) -> None:
        self.registry = CollectorRegistry()
        self.collector = SagaCollector(sagas, patience=patience)
        self.registry.register(self.collector)

    def __call__(self) -> dict[str, float]:
        """All samples of a scrape by their names with labels, `name{label=value}`."""
        return {
            _key(sample.name, sample.labels): sample.value
            for family in self.registry.collect()
            for sample in family.samples
        }


def _key(name: str, labels: dict[str, str]) -> str:
    inner = ",".join(f"{label}={value}" for label, value in labels.items())
    return f"{name}{{{inner}}}" if inner else name


@pytest.fixture
def scrape(shop) -> Scraper:
    return Scraper(shop.sagas)
