"""`saga alert`: where alerts go, and whether they arrive."""

from __future__ import annotations

import time

import click

from saga_celery.app import SagaApp
from saga_celery.app.alerts import Alerts, addresses_of, hosts, trial_payload
from saga_celery.app.chance import new_id
from saga_celery.cli import target
from saga_celery.cli.exits import Exit, Trouble
from saga_celery.cli.screen import Screen
from saga_celery.engine.ports import Delivery
from saga_celery.errors import AlertNotDelivered, NotConfigured

LOOK = 0.1
"""Seconds between two looks whether a test alert was told."""


@click.command("alert")
@click.option("--test", is_flag=True, help="Have a worker post a test alert to each webhook, and wait until it did.")
@click.option("--from-here", is_flag=True, help="With --test: post it from this process, which tells what goes wrong.")
@click.option("--wait", type=click.FloatRange(min=0), default=30.0, show_default=True, help="Seconds to wait.")
@click.pass_context
def alert(ctx: click.Context, test: bool, from_here: bool, wait: float) -> None:
    """Tell where alerts of sagas go; or post a test alert there, the way that real ones take."""
    sagas, screen = target.sagas(ctx), target.screen(ctx)
    if not sagas.settings.alert_webhook:
        raise NotConfigured("no webhook is told of sagas in trouble: set saga_alert_webhook to its URL")
    if not test:
        for number, host in enumerate(hosts(sagas.settings), start=1):
            screen.show([f"{number}  {host}  {', '.join(sagas.settings.alert_events)}"])
    elif from_here:
        _post(sagas, screen)
    else:
        _send(sagas, screen, wait)


def _post(sagas: SagaApp, screen: Screen) -> None:
    failed = 0
    for number, host in enumerate(hosts(sagas.settings), start=1):
        try:
            Alerts(sagas.settings).post(trial_payload(new_id(), sagas.store.queries.now()), number)
        except AlertNotDelivered as failure:
            failed += 1
            screen.show([str(failure)])
        else:
            screen.say(f"the webhook at {host} took it")
    if failed:
        raise Trouble(f"{failed} of {len(sagas.settings.alert_webhook)} webhooks did not take the test alert")


def _send(sagas: SagaApp, screen: Screen, wait: float) -> None:
    """Stored, published, posted by a worker, forgotten: what becomes of a real one."""
    sagas.check_schema()
    rows, moment = sagas.store.deliveries, sagas.store.queries.now()
    tests = [_delivery(sagas, address, trial_payload(new_id(), moment)) for address in addresses_of(sagas.settings)]
    ids = [each.id for each in tests]
    rows.add(tests)
    try:
        for each in tests:
            sagas.transport.deliver(each)
        left = _left(sagas, ids, wait)
    finally:
        rows.settle(ids)  # a test that comes hours later would be a false alarm
    if left:
        text = f"{len(left)} of {len(ids)} webhooks were not told within {wait:g} s: does a worker consume queue "
        more = f"{sagas.settings.queue!r}? Its log tells more, as does `--test --from-here`"
        raise Trouble(text + more, Exit.OUT_OF_TIME)
    screen.say(f"a worker told {len(ids)} webhook{'s' if len(ids) > 1 else ''}: {', '.join(hosts(sagas.settings))}")


def _left(sagas: SagaApp, ids: list[str], wait: float) -> set[str]:
    """Those whose webhook was not told in time."""
    until = time.monotonic() + wait
    while (left := sagas.store.deliveries.known(ids)) and time.monotonic() < until:
        time.sleep(LOOK)
    return left


def _delivery(sagas: SagaApp, address: str, payload: dict[str, object]) -> Delivery:
    event_id = str(payload["id"])
    return Delivery(
        id=event_id,
        saga_id=event_id,
        event=str(payload["event"]),
        task=address,
        payload=payload,
        seconds=sagas.settings.hook_grace,
    )
