"""What the transport needs from the process that it runs in; `saga_celery.app` provides it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from celery import Celery

from saga_celery.core.events import News
from saga_celery.core.states import Slot
from saga_celery.engine.coordinator import Coordinator
from saga_celery.engine.payloads import Payloads
from saga_celery.engine.ports import Living, Running, Store
from saga_celery.engine.sweeper import Sweeper
from saga_celery.settings import Settings
from saga_celery.transport.publisher import CeleryTransport
from saga_celery.transport.run_on import RunOn


class Runtime(Protocol):
    """The composed parts of one process. Everything that opens connections is made at first use, per process."""

    @property
    def celery(self) -> Celery:
        """The user's Celery app."""
        ...

    @property
    def settings(self) -> Settings:
        """The checked configuration."""
        ...

    @property
    def has_store(self) -> bool:
        """True when this process knows the saga database."""
        ...

    @property
    def store(self) -> Store:
        """The saga database."""
        ...

    @property
    def payloads(self) -> Payloads:
        """Opens and packs values."""
        ...

    @property
    def transport(self) -> CeleryTransport:
        """The broker; one for each process."""
        ...

    @property
    def run_on(self) -> RunOn:
        """Keeps messages that this process runs itself."""
        ...

    def coordinator(self, *, parks_render_failures: bool) -> Coordinator:
        """A coordinator that may run the sagas' code."""
        ...

    def sweeper(self) -> Sweeper:
        """A sweeper with connections of its own."""
        ...

    def has_plan(self, saga_name: str, plan_hash: str) -> bool:
        """True when this process has the saga's class with this very graph."""
        ...

    def interpret(self, saga_id: str, slot: Slot, attempt: int, result: object) -> News:
        """Let the saga's code say what a probe's answer means.

        Args:
            saga_id: the saga.
            slot: the probe.
            attempt: which question it was.
            result: the answer, plain JSON.

        Returns:
            `ProbeAnswered`, or `AttemptFailed` when the saga's code raised.

        Raises:
            StoreError: the database failed; ask again.
        """
        ...

    def hook_ended(self, event_id: str) -> None:
        """Note that a hook has run to its end.

        Raises:
            StoreError: the database failed.
        """
        ...

    def alert(self, event: Any, webhook: int) -> None:
        """Post what a hook is told to a webhook.

        Args:
            event: the payload, opened.
            webhook: which one of the list, from 1 on.

        Raises:
            AlertNotDelivered: it did not take it.
        """
        ...

    def check_settings(self) -> None:
        """Refuse to work with settings that can not be, or name what is not there.

        Raises:
            NotConfigured: says which, and what to write.
        """
        ...

    def check_schema(self) -> None:
        """Refuse to work on tables of another release.

        Raises:
            SchemaOutOfDate: says what to run.
        """
        ...

    def beat(self, worker: str, running: Sequence[Running], swept: float | None = None) -> None:
        """Write the worker's heartbeat.

        Args:
            worker: its identity.
            running: the attempts that it has in hand.
            swept: seconds since its sweeper finished a round; None: it has not, or none runs.
        """
        ...

    def farewell(self, worker: str) -> None:
        """Take the worker's heartbeat away; it ends in good order."""
        ...

    def living(self) -> Living:
        """The workers with a fresh heartbeat."""
        ...

    def dispose(self) -> None:
        """Forget connections that belong to the parent process, after a fork."""
        ...
