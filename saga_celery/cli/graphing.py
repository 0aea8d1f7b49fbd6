"""`saga graph`: a saga as a picture."""

from __future__ import annotations

import click

from saga_celery.app import SagaApp
from saga_celery.cli import target
from saga_celery.core.plan import CHAIN_FORM
from saga_celery.definition.chain_script import undoing_of
from saga_celery.definition.mermaid import drawing
from saga_celery.definition.mermaid import graph as mermaid
from saga_celery.definition.registry import find, is_registered


@click.command()
@click.argument("name")
@click.option("--format", "form", type=click.Choice(["mermaid"]), default="mermaid", show_default=True)
@click.pass_context
def graph(ctx: click.Context, name: str, form: str) -> None:
    """Draw a saga: its steps, what undoes them, and the point of no return.

    Of a chain, which has no class, the latest one of this name is drawn.
    """
    sagas = target.sagas(ctx)
    click.echo(_chain(sagas, name) or mermaid(find(name).definition()), nl=False)


def _chain(sagas: SagaApp, name: str) -> str:
    """The drawing of a stored chain; empty where a class has the name, or nobody."""
    if is_registered(name) or not sagas.has_store:
        return ""
    sagas.check_schema()
    for row in sagas.store.queries.find(name=name, limit=1):
        state = sagas.store.queries.snapshot(row.id).state
        plan = sagas.store.plan(state.plan_hash)
        is_chain = plan.form == CHAIN_FORM
        return drawing(plan, undoing_of(sagas.payloads.opened(row.id, state.input))) if is_chain else ""
    return ""
