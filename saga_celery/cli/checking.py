"""`saga check`: would the open sagas strand on the code that is about to be deployed?"""

from __future__ import annotations

from collections.abc import Iterator

import click

from saga_celery.app.checking import SAMPLE, Checked, CheckedPlan, check_open_sagas
from saga_celery.app.reading.excerpt import excerpt
from saga_celery.cli import target
from saga_celery.cli.exits import Exit
from saga_celery.cli.screen import Block
from saga_celery.cli.table import bad, doubtful, faint, good
from saga_celery.definition.drift import Difference

LONGEST_TEXT = 500


@click.command()
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=SAMPLE,
    show_default=True,
    help="Of how many sagas of each plan the stored values are decoded.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: each plan, then each saga class.")
@click.pass_context
def check(ctx: click.Context, sample: int, as_json: bool) -> None:
    """Hold the plans of the open sagas against the saga classes of this code.

    Run it with the code that is about to be deployed and the database of the deployment; it only reads and needs no
    worker. Exits with 0 when no open saga would strand, with 1 when some would.
    """
    sagas, screen = target.sagas(ctx), target.screen(ctx, json=as_json)
    checked = check_open_sagas(sagas, sample=sample)
    if as_json:
        for plan in checked.plans:
            screen.record(_record(plan))
        for name, steps in checked.only_parking.items():
            screen.record({"name": name, "can_only_park": steps})
    else:
        screen.show([*_page(checked)])
        screen.note(_summary(checked))
    if not checked.fine:
        ctx.exit(Exit.REFUSED)


def _record(plan: CheckedPlan) -> dict[str, object]:
    return {
        "name": plan.name,
        "plan": plan.plan_hash,
        "open": plan.open,
        "examined": plan.drift.examined,
        "would_park": plan.would_park,
        "differences": [
            {
                "kind": each.kind,
                "strands": each.strands,
                "step": each.step,
                "sagas": each.sagas,
                "example": each.example or None,
                "text": each.text,
                "fix": each.fix or None,
            }
            for each in plan.differences
        ],
    }


def _page(checked: Checked) -> Iterator[Block]:
    for plan in checked.plans:
        yield _head(plan)
        yield from (_line(each) for each in plan.differences)
    for name, steps in checked.only_parking.items():
        yield doubtful(f"{name}: can only park when their outcome is unknown: {', '.join(steps)}")


def _head(plan: CheckedPlan) -> Block:
    head = f"{plan.name}, plan {plan.plan_hash[:8]}, {plan.open} open"
    if not plan.would_park:
        return good(f"{head}: fine")
    among = "" if plan.drift.examined == plan.open else f" of the {plan.drift.examined} looked at"
    return bad(f"{head}: {plan.would_park}{among} would park")


def _line(each: Difference) -> Block:
    text = excerpt(each.text, LONGEST_TEXT)
    if not each.strands:
        return faint(f"  NOTE {text}")
    who = f"{each.sagas} open saga{'' if each.sagas == 1 else 's'}"
    example = f" (such as {each.example})" if each.example else ""
    return bad(f"  PARK {text}; {who} still need{'s' if each.sagas == 1 else ''} it{example} → {each.fix}")


def _summary(checked: Checked) -> str:
    number = sum(plan.open for plan in checked.plans)
    if checked.fine:
        return f"{number} open sagas, none of them would park"
    return f"{number} open sagas, {sum(plan.would_park for plan in checked.plans)} would park"
