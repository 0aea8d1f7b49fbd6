"""`saga exporter`: the command. What it needs of the extra `metrics` is imported when it runs."""

from __future__ import annotations

from importlib.resources import files
from threading import Event
from types import ModuleType

import click

from saga_celery.app.ending import ended_by_signals
from saga_celery.contrib.commands import sagas_of
from saga_celery.errors import NotConfigured

PORT = 9809


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address or name to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="Port; 0: any that is free."
)
@click.option("--dashboard", is_flag=True, help="Print a dashboard for Grafana, as JSON, and end.")
@click.option("--alerts", is_flag=True, help="Print alerting rules for Prometheus, as YAML, and end.")
@click.pass_context
def exporter(ctx: click.Context, host: str, port: int, dashboard: bool, alerts: bool) -> None:
    """Serve metrics of all sagas for Prometheus, until Ctrl-C or SIGTERM.

    One such process is enough for a saga database. For this machine alone, unless --host says otherwise; whoever can
    reach it may read names and numbers of sagas, and no more.
    """
    if dashboard or alerts:
        click.echo(shipped("grafana.json" if dashboard else "alerts.yml"), nl=False)
        return
    sagas = sagas_of(ctx)
    if not sagas.has_store:
        raise NotConfigured("this process has no saga database: set `saga_database_url`")
    stop = Event()
    with ended_by_signals(stop.set), _exporter().exporting(sagas, host=host, port=port) as address:
        click.echo(f"metrics at {address}; SIGTERM or Ctrl-C ends it", err=True)
        stop.wait()
    click.echo("stopped", err=True)


def shipped(name: str) -> str:
    """A file that comes with the package.

    Args:
        name: `grafana.json` or `alerts.yml`.
    """
    return files("saga_celery.contrib.metrics").joinpath(name).read_text(encoding="utf-8")


def _exporter() -> ModuleType:
    """What needs the extra."""
    try:
        from saga_celery.contrib.metrics import exporter
    except ImportError as error:
        raise NotConfigured(f'{error}; the exporter comes with: pip install "saga-celery[metrics]"') from error
    return exporter
