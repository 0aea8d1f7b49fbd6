"""How the Sagas tab gets into `celery -A proj flower` with nothing configured.

Flower has no plugins, but Celery has: it loads every entry point of the group `celery.commands`, ours as well as
Flower's own. Ours hands Celery the very command object that Flower's hands it, under the same name, so that nothing is
listed twice and it does not matter which of the two comes first. All that is changed on it is its callback, which adds
the tab and the metrics, and then goes on as before.

The other ways were worse. A command of our own (`saga-flower`) or a line in `flowerconfig.py` has to be known and
written. `SagaApp(app)` could install the tab, but it is made in each worker and web process, and must not know Flower.
Here nothing of ours runs, nor is anything of Flower's changed, before somebody starts Flower.
"""

from __future__ import annotations

import logging
from typing import Any

import click

logger = logging.getLogger("saga_celery.flower")


def entry_point() -> click.Command:
    """What Celery is given: Flower's command, with the tab; a hidden stand-in where there is no Flower."""
    try:
        from flower.command import flower
    except Exception as error:  # Celery itself tells of a Flower that is broken, at Flower's own entry point
        return _without_flower(error)
    if not isinstance(flower, click.Command) or flower.callback is None:
        return _without_flower(TypeError("flower.command.flower is no click command"))
    _with_tab(flower)
    return flower


def _with_tab(flower: click.Command) -> None:
    start = flower.callback
    assert start is not None  # noqa: S101 - seen by the caller; for the type checker

    def callback(*arguments: Any, **options: Any) -> Any:
        celery = click.get_current_context().obj.app
        add_tab(celery)
        add_metrics(celery)
        return start(*arguments, **options)

    flower.callback = callback


def add_tab(celery: Any) -> None:
    """Add the tab to the Flower that this process is about to start. Whatever stands in the way, Flower starts.

    Args:
        celery: the app that Flower is to watch.
    """
    from saga_celery.contrib.flower.hook import install, why_not

    try:
        celery.loader.import_default_modules()  # Flower does it too, but only when its pages are fixed
        reason = why_not(celery)
        if reason is None:
            install()
        else:
            logger.info("no Sagas tab: %s", reason)
    except Exception as error:
        logger.warning("Flower starts without the Sagas tab: %s: %s", type(error).__name__, error)


def add_metrics(celery: Any) -> None:
    """Add the metrics of the sagas to Flower's `/metrics`. Whatever stands in the way, Flower starts.

    Args:
        celery: the app that Flower is to watch; its modules are imported.
    """
    try:
        from saga_celery.contrib.flower.hook import why_not
        from saga_celery.contrib.flower.metrics import add_to

        if why_not(celery) is None:  # else the log has it already, from the tab
            add_to(celery)
    except Exception as error:
        logger.warning("Flower starts without the metrics of the sagas: %s: %s", type(error).__name__, error)


def _without_flower(error: Exception) -> click.Command:
    """A command that nobody sees: an entry point has to be one, and one that fails spoils `celery --help`."""

    @click.command("saga-flower", hidden=True, help="Stands in for Flower.")
    def stand_in() -> None:
        raise click.ClickException(f'{error}; Flower comes with: pip install "saga-celery[flower]"')

    return stand_in


command = entry_point()
