"""A scrape is answered in time and without an error, whatever the database does."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

from saga_celery.contrib.metrics.collector import SagaCollector
from saga_celery.contrib.metrics.meter import Meter
from saga_celery.contrib.metrics.names import METRICS
from saga_celery.errors import StoreUnavailable
from saga_celery.store.metering import Look
from tests.contrib.metrics.conftest import Scraper


@pytest.fixture
def broken(monkeypatch):
    """Makes the database fail at one of the last things that a reading looks at; ends it again."""
    failing: list[Exception] = []
    overdue = Look.overdue

    def fail(look):
        if failing:
            raise failing[0]
        return overdue(look)

    monkeypatch.setattr(Look, "overdue", fail)
    return failing


def test_a_database_that_is_down(unmigrated, tmp_path):
    """Its place is a folder."""
    (tmp_path / "saga.db").mkdir()
    samples = Scraper(unmigrated.sagas)()
    assert samples["saga_up"] == 0
    assert set(samples) == {"saga_up", "saga_scrape_seconds"}


def test_tables_that_are_missing(unmigrated, caplog):
    assert Scraper(unmigrated.sagas)()["saga_up"] == 0
    assert "the sagas can not be measured" in caplog.text
    assert "saga migrate" in caplog.text


def test_it_leaves_what_is_beside_it_alone(unmigrated):
    registry = CollectorRegistry()
    Counter("flower_events", "Of somebody else.", registry=registry).inc()
    registry.register(SagaCollector(unmigrated.sagas))
    told = generate_latest(registry).decode()
    assert "flower_events_total 1.0" in told
    assert "saga_up 0.0" in told


def test_nothing_is_counted_twice_or_lost_by_a_reading_that_failed(shop, scrape, broken):
    shop.completed()
    for _ in range(2):  # the first reading, and a later one
        broken.append(StoreUnavailable("gone"))
        assert scrape()["saga_up"] == 0
        broken.clear()
        assert scrape()["saga_finished_total{saga=shop.order,outcome=completed}"] == 1
    shop.completed()
    broken.append(StoreUnavailable("gone"))
    assert scrape()["saga_up"] == 0
    shop.completed()
    assert "saga_started_total{saga=shop.order}" not in scrape()
    broken.clear()
    samples = scrape()
    assert samples["saga_finished_total{saga=shop.order,outcome=completed}"] == 3
    assert samples["saga_started_total{saga=shop.order}"] == 3
    attempts = "saga_step_attempts_total{saga=shop.order,step=charge,direction=action,outcome=succeeded}"
    assert samples[attempts] == 2


def test_it_complains_once_and_tells_when_it_is_mended(shop, scrape, broken, caplog):
    caplog.set_level(logging.INFO, "saga_celery.metrics")
    broken.append(StoreUnavailable("gone"))
    scrape(), scrape()
    broken[:] = [ZeroDivisionError("ours")]
    scrape()
    broken.clear()
    scrape(), scrape()
    assert [each.getMessage() for each in caplog.records] == [
        "the sagas can not be measured: gone",
        "the sagas are measured again",
    ]
    broken.append(ZeroDivisionError("ours"))
    assert scrape()["saga_up"] == 0
    assert caplog.records[-1].exc_info is not None  # a bug keeps its traceback


@pytest.fixture
def hanging(monkeypatch):
    """Readings hang until the event is set; how many have begun."""
    let_go, begun = threading.Event(), []
    read = Meter.read

    def hang(meter, gauges):
        begun.append(meter)
        assert let_go.wait(60)
        return read(meter, gauges)

    monkeypatch.setattr(Meter, "read", hang)
    yield let_go, begun
    let_go.set()


def test_a_database_that_hangs_is_waited_for_once(shop, hanging):
    let_go, begun = hanging
    scrape = Scraper(shop.sagas, patience=0.05)
    assert scrape()["saga_up"] == 0
    samples = scrape()
    assert samples["saga_up"] == 0
    assert samples["saga_scrape_seconds"] > 0.05
    assert len(begun) == 1
    let_go.set()
    for thread in threading.enumerate():
        if thread.name == "saga-metrics":
            thread.join(60)
    scrape = Scraper(shop.sagas)
    assert scrape()["saga_up"] == 1


def test_scrapes_that_come_together_share_a_reading(shop, hanging):
    let_go, begun = hanging
    scrape = Scraper(shop.sagas)
    together = threading.Barrier(5)
    collector, wait = scrape.collector, scrape.collector._current

    def current():
        found = wait()
        together.wait(60)
        return found

    collector._current = current
    with ThreadPoolExecutor(4) as pool:
        scrapes = [pool.submit(scrape) for _ in range(4)]
        together.wait(60)
        let_go.set()
        assert [each.result()["saga_up"] for each in scrapes] == [1] * 4
    assert len(begun) == 1


def test_it_is_registered_without_a_look_at_the_database(shop, monkeypatch):
    monkeypatch.setattr(Meter, "read", lambda *arguments: pytest.fail("it was read"))
    described = {family.name: family.type for family in SagaCollector(shop.sagas).describe()}
    assert described == {name.removesuffix("_total"): metric.kind.value for name, metric in METRICS.items()}


def test_every_metric_is_told_and_no_other(shop, scrape):
    shop.sagas.beat("celery@h.1", [], 1.0)
    scrape()
    shop.in_doubt()
    shop.compensated()
    families = {family.name: family for family in scrape.registry.collect()}
    assert set(families) == {name.removesuffix("_total") for name in METRICS}
    for name, metric in METRICS.items():
        samples = families[name.removesuffix("_total")].samples
        assert samples, name
        for sample in samples:
            assert set(sample.labels) - {"le"} == set(metric.labels), name
            assert sample.name in (name, f"{name}_bucket", f"{name}_count", f"{name}_sum")


def test_no_label_is_an_id(shop, scrape):
    scrape()
    ids = [shop.in_doubt(key="order-1"), shop.compensated(), shop.exhausted(), shop.start()]
    told = generate_latest(scrape.registry).decode()
    assert not [each for each in (*ids, "order-1") if each in told]


def test_a_store_that_takes_the_place_of_another_is_counted_anew(shop, scrape, tmp_path):
    shop.completed()
    assert scrape()["saga_started_total{saga=shop.order}"] == 1
    shop.sagas._forget_store()
    shop.app.conf.saga_database_url = f"sqlite:///{tmp_path / 'other.db'}"
    shop.sagas._settings = None
    assert scrape()["saga_up"] == 0  # it has no tables
    shop.sagas.store.dispose()
