"""`saga sweep`: the sweeper as a process of its own."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import click

from saga_celery.app import SagaApp
from saga_celery.app.ending import ended_by_signals
from saga_celery.cli import target
from saga_celery.cli.exits import Exit
from saga_celery.engine.sweeper import Sweeper, Swept
from saga_celery.errors import StoreError
from saga_celery.store.heartbeats import SWEEPER

LONGEST_REST = 30.0
"""Upper bound in seconds of the rest between two calls on a database that does not answer."""

Tell = Callable[[str], None]


@click.command()
@click.option("--once", is_flag=True, help="Deal with what is due now, then end.")
@click.option("-v", "--verbose", is_flag=True, help="A line for each tick that found something.")
@click.pass_context
def sweep(ctx: click.Context, once: bool, verbose: bool) -> None:
    """Come back to whatever was awaited and did not come, until stopped.

    Workers that have the saga database sweep anyway; this is for where none shall. Any number of sweepers is harmless.
    """
    screen = target.screen(ctx)

    def found(swept: Swept) -> None:
        if verbose:
            screen.say(_told(swept))

    rounds = Rounds(target.sagas(ctx), tell=screen.note, found=found)
    with ended_by_signals(rounds.stop):
        if once:
            swept = rounds.all_that_is_due()
            screen.say(_told(swept))
            ctx.exit(Exit.TROUBLE if swept.failed else Exit.DONE)
        screen.note("sweeping; SIGTERM or Ctrl-C ends it")
        rounds.until_stopped()
        screen.note("stopped")


def _told(swept: Swept) -> str:
    return f"{swept.found} found, {swept.failed} put off because of an error"


class Rounds:
    """Sweeps until it is told to stop, through outages of the database and the broker.

    Args:
        sagas: the app whose sagas are swept.
        tell: takes a line about what went wrong or was mended.
        found: takes what a tick did, when it found something.
    """

    def __init__(self, sagas: SagaApp, *, tell: Tell, found: Callable[[Swept], None]) -> None:
        self._sagas = sagas
        self._tell = tell
        self._found = found
        self._stop = threading.Event()
        self._name = f"{SWEEPER}@{socket.gethostname()}.{os.getpid()}"
        self._outages = 0
        self._last_beat: float | None = None

    def stop(self) -> None:
        """End after the tick that is under way."""
        self._stop.set()

    def all_that_is_due(self) -> Swept:
        """Tick until nothing is due any more, and tell what was done in all."""
        sweeper, total = self._ready(), Swept(more=True)
        while total.more and not self._stop.is_set():
            swept = self._told(sweeper.tick())
            total = Swept(found=total.found + swept.found, failed=total.failed + swept.failed, more=swept.more)
        return total

    def until_stopped(self) -> None:
        """Tick and rest, until `stop` is called."""
        sweeper: Sweeper | None = None
        try:
            while not self._stop.is_set():
                try:
                    sweeper = sweeper or self._ready()
                    rest = self._tick(sweeper)
                except StoreError as outage:
                    if not outage.retryable:
                        raise
                    rest = self._out_of_reach(outage)
                self._stop.wait(rest)
        finally:
            self._farewell()

    def _ready(self) -> Sweeper:
        self._sagas.check_schema()
        return self._sagas.sweeper()

    def _tick(self, sweeper: Sweeper) -> float:
        """One tick; returns the seconds to rest after it."""
        self._beat()
        swept = self._told(sweeper.tick())
        if self._outages:
            self._tell("the database answers again")
            self._outages = 0
        return 0.0 if swept.more else self._sagas.settings.sweep_interval

    def _told(self, swept: Swept) -> Swept:
        if swept.found:
            self._found(swept)
        return swept

    def _out_of_reach(self, outage: StoreError) -> float:
        self._outages += 1
        rest = min(self._sagas.settings.sweep_interval * 2.0 ** min(self._outages, 10), LONGEST_REST)
        self._tell(f"{outage}; next try in {rest:g} s")
        return rest

    def _beat(self) -> None:
        """Be seen alive, like the workers that sweep."""
        moment = time.monotonic()
        if self._last_beat is None or moment - self._last_beat >= self._sagas.settings.heartbeat_interval:
            self._sagas.beat(self._name, [])
            self._last_beat = moment

    def _farewell(self) -> None:
        if self._last_beat is not None:
            with suppress(StoreError):
                self._sagas.farewell(self._name)
