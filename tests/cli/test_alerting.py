"""`saga alert`, and what the doctor says of alerts."""

from types import SimpleNamespace

import pytest

from saga_celery.cli import alerting
from saga_celery.cli.doctor import configuration
from saga_celery.settings import Settings
from saga_celery.transport import wire
from saga_celery.transport.alerts import hook_message
from saga_celery.transport.publisher import CeleryTransport
from tests.receiver import receiving


@pytest.fixture
def receiver(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with receiving() as found:
        yield found


@pytest.fixture
def told(shop, receiver):
    """A shop with one webhook."""
    shop.app.conf.saga_alert_webhook = receiver.url
    shop.sagas._settings = None
    return shop


@pytest.fixture
def worker(shop, monkeypatch):
    """Takes each alert as it is published."""

    def deliver(transport, delivery):
        message = hook_message(delivery, shop.sagas.settings)
        task = shop.app.tasks[message.task]
        task.push_request(id="t", task=task.name, headers=wire.hook_headers_of(delivery, shop.sagas.settings))
        try:
            task.run(*message.args, **message.kwargs)
        finally:
            task.pop_request()

    monkeypatch.setattr(CeleryTransport, "deliver", deliver)


def test_where_alerts_go(told):
    result = told("alert")
    assert (result.exit_code, result.stdout) == (0, "1  127.0.0.1  saga_failed, saga_stuck\n")


@pytest.mark.parametrize("options", [(), ("--test",), ("--test", "--from-here")])
def test_without_a_webhook_the_setting_is_named(shop, options):
    result = shop("alert", *options)
    assert result.exit_code == 3
    assert "set saga_alert_webhook to its URL" in result.stderr


def test_a_worker_posts_a_test_alert(told, worker, receiver):
    result = told("alert", "--test")
    assert (result.exit_code, result.stdout) == (0, "a worker told 1 webhook: 127.0.0.1\n")
    (posted,) = receiver.posted
    assert posted["event"] == "alert_test"
    assert "this is a test" in posted["text"]


def test_where_no_worker_does_it_is_said_and_the_test_is_forgotten(told, receiver, monkeypatch):
    seconds, looks = iter(range(100)), []
    monkeypatch.setattr(alerting, "time", SimpleNamespace(monotonic=lambda: next(seconds), sleep=looks.append))
    result = told("alert", "--test", "--wait", "3")
    assert result.exit_code == 4
    assert "1 of 1 webhooks were not told within 3 s: does a worker consume queue 'saga'?" in result.stderr
    assert looks == [alerting.LOOK] * 2
    assert receiver.posted == []
    assert told.sagas.store.deliveries.open() == []


def test_from_here_what_goes_wrong_is_told(told, receiver):
    assert told("alert", "--test", "--from-here").stdout == "the webhook at 127.0.0.1 took it\n"
    receiver.answers = [404]
    result = told("alert", "--test", "--from-here")
    assert (result.exit_code, result.stdout) == (3, "the webhook at 127.0.0.1 answered 404\n")
    assert "1 of 1 webhooks did not take the test alert" in result.stderr
    assert len(receiver.posted) == 2


def test_the_doctor_tells_where_alerts_go_without_the_secret(told):
    lines = told("doctor").stdout.splitlines()
    assert "OK   alerts: saga_failed and saga_stuck are told to 127.0.0.1" in lines


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {},
            "NOTE alerts: no webhook and no hook for all sagas is told of saga_failed and saga_stuck → set saga_alert",
        ),
        (
            {"hooks": {"saga_failed": "ops.page"}},
            "NOTE alerts: no webhook and no hook for all sagas is told of saga_stuck →",
        ),
        (
            {"hooks": {"saga_failed": "ops.page", "saga_stuck": "ops.page"}},
            "OK   alerts: saga_failed and saga_stuck are told",
        ),
    ],
)
def test_the_doctor_notes_that_nobody_is_told(settings, line):
    assert str(configuration.alerts(Settings(**settings))).startswith(line)
