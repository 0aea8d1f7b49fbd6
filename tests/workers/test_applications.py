"""Each service is an application of its own, which loses no task and knows no saga database."""

from __future__ import annotations

from pathlib import Path

import pytest
from celery.app.utils import find_app

from workers.seed import SERVICES, seed
from workers.service.database import service_engine
from workers.settings import settings

MODULES = {name: f"workers.{name}" for name in SERVICES} | {"travel": "workers.travel_desk"}


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_service_consumes_its_own_queue_and_acks_late(service: str) -> None:
    app = find_app(MODULES[service])
    assert app.conf.task_default_queue == service
    assert app.conf.task_acks_late
    assert app.conf.task_reject_on_worker_lost
    assert "saga_database_url" not in app.conf
    assert any(name.startswith(f"{service}.") for name in app.tasks)


def test_refusals_are_known_by_the_names_that_the_sagas_call_fatal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers.inventory.celery import reserve

    monkeypatch.setenv("SERVICE_DATABASE_URL", f"sqlite:///{tmp_path}/{{service}}.db")
    settings.cache_clear()
    service_engine.cache_clear()
    seed("inventory", settings().service_database_url("inventory"))
    with pytest.raises(Exception, match="no longer sold") as refusal:
        reserve(order_id=1, lines=[(5, 1)], key="k")
    assert f"{refusal.type.__module__}.{refusal.type.__qualname__}" == "workers.inventory.Discontinued"
    service_engine("inventory").dispose()
    service_engine.cache_clear()
    settings.cache_clear()
