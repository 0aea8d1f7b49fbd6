"""Settings in a module under Celery's namespace (`CELERY_SAGA_QUEUE`) are read, and checked, as any others."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from celery import Celery
from click.testing import CliRunner

from saga_celery import NotConfigured, SagaApp
from saga_celery.cli import saga
from saga_celery.contrib.commands import Host
from saga_celery.definition import desk
from saga_celery.settings import Settings


@pytest.fixture
def configured(monkeypatch):
    """Makes an app that is configured by a module with these names."""

    def make(namespace: str | None, **names: Any) -> Celery:
        module = ModuleType("some_settings")
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        app = Celery("configured", set_as_current=False)
        app.config_from_object(module.__name__, namespace=namespace)
        return app

    return make


@pytest.fixture
def unbound(monkeypatch):
    """No sagas are bound, and those from before are so again once the test is over."""
    monkeypatch.setattr(desk, "_bound", [])


@pytest.mark.parametrize(
    ("namespace", "prefix"), [("CELERY", "CELERY_SAGA_"), ("celery", "celery_saga_"), (None, "saga_")]
)
def test_they_are_read(configured, namespace, prefix):
    given = {"queue": "mine", "payload_limit": 7}
    word = str.upper if prefix.isupper() else str
    settings = Settings.from_conf(
        configured(namespace, **{prefix + word(name): value for name, value in given.items()}).conf
    )
    assert (settings.queue, settings.payload_limit) == ("mine", 7)


def test_what_the_app_says_itself_comes_first(configured):
    app = configured("CELERY", CELERY_SAGA_QUEUE="of the module")
    app.conf.saga_queue = "of the app"
    assert Settings.from_conf(app.conf).queue == "of the app"


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("CELERY_SAGA_QUEU", "mine", "did you mean saga_queue?"),
        ("CELERY_SAGA_QUEUE", 3, "saga_queue=3: expected str"),
    ],
)
def test_what_can_not_be_is_refused_and_the_doctor_says_so(configured, unbound, name, value, complaint):
    app = configured("CELERY", **{name: value})
    with pytest.raises(NotConfigured) as refusal:
        Settings.from_conf(app.conf)
    assert complaint in str(refusal.value)
    SagaApp(app)
    result = CliRunner().invoke(saga, ["doctor"], obj=Host(app=app))
    assert result.exit_code == 3, result.output
    assert complaint in result.output
