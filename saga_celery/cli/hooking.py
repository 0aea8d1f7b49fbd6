"""`saga hooks`: what hooks have yet to be told, and what was given up."""

from __future__ import annotations

from datetime import datetime

import click

from saga_celery.app.display import Display
from saga_celery.app.reading.durations import spoken
from saga_celery.cli import target
from saga_celery.cli.exits import Trouble
from saga_celery.cli.table import Cell, Table, bad
from saga_celery.store.deliveries import DeliveryRows, OpenDelivery

_COLUMNS = ("event id", "saga", "event", "task", "since", "sent", "next")


@click.command("hooks")
@click.option("--given-up", is_flag=True, help="Only those that are not sent any more.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most.")
@click.option("--resend", "resend", metavar="EVENT_ID", multiple=True, help="Send this one again, from the beginning.")
@click.option("--drop", "drop", metavar="EVENT_ID", multiple=True, help="Forget this one: the hook need not be told.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def hooks(
    ctx: click.Context, given_up: bool, limit: int, resend: tuple[str, ...], drop: tuple[str, ...], as_json: bool
) -> None:
    """List hooks that did not run to their end yet, the oldest first; or send some again, or drop them."""
    sagas, screen = target.sagas(ctx), target.screen(ctx, json=as_json)
    sagas.check_schema()
    rows = sagas.store.deliveries
    if resend or drop:
        screen.say(_changed(rows, resend, drop))
        return
    found = rows.open(limit=limit + 1, given_up=True if given_up else None)
    if as_json:
        for each in found[:limit]:
            screen.record(_record(each, sagas.display()))
        return
    moment = sagas.store.queries.now()
    if found:
        table = Table(
            columns=_COLUMNS,
            rows=tuple(_cells(each, moment) for each in found[:limit]),
            whole=("event id",),
        )
        screen.show([table])
    screen.note(_summary(len(found), limit, target.program(ctx)))


def _changed(rows: DeliveryRows, resend: tuple[str, ...], drop: tuple[str, ...]) -> str:
    """All of them or none: an id that is mistyped is refused before anything is done."""
    wanted = {*resend, *drop}
    missing = wanted - rows.known(sorted(wanted))
    if missing:
        ids = ", ".join(map(repr, sorted(missing)))
        raise Trouble(f"no open hook has the event id {ids}; it may have ended by now")
    again = rows.send_again(resend) if resend else 0
    gone = rows.settle(drop) if drop else 0
    return f"{again} to be sent again, {gone} dropped"


def _cells(each: OpenDelivery, moment: datetime) -> tuple[Cell, ...]:
    delivery = each.delivery
    return (
        delivery.id,
        f"{delivery.payload['saga_name']} {delivery.saga_id}",
        delivery.event,
        delivery.task or "(class not known)",
        f"{spoken((moment - each.since).total_seconds())} ago",
        f"{delivery.tries}×",
        bad("given up") if each.due_at is None else f"in {spoken((each.due_at - moment).total_seconds())}",
    )


def _record(each: OpenDelivery, display: Display) -> dict[str, object]:
    delivery = each.delivery
    return {
        "id": delivery.id,
        "saga": delivery.saga_id,
        "name": delivery.payload["saga_name"],
        "event": delivery.event,
        "task": delivery.task or None,
        "since": each.since,
        "sent": delivery.tries,
        "due": each.due_at,
        "given_up": each.due_at is None,
        "payload": display.told(delivery.saga_id, delivery.payload),
    }


def _summary(found: int, limit: int, program: str) -> str:
    if found > limit:
        return f"the oldest {limit}; there are more, see --limit"
    if found:
        return f"{found} open; `{program} hooks --resend EVENT_ID` sends one again, `--drop EVENT_ID` forgets it"
    return "0 open"
