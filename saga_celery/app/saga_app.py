"""`SagaApp(celery)`: the one line that adds sagas to a Celery app. It composes the parts and has no logic of its
own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from celery import Celery

from saga_celery.app.alerts import Alerts, with_alerts
from saga_celery.app.chance import backoff, draw
from saga_celery.app.dead_letter_log import log_dead_letters
from saga_celery.app.desk import AppDesk
from saga_celery.app.display import Display
from saga_celery.app.framework import FrameworkDatabase, current_framework
from saga_celery.app.hooks import ClassHooks
from saga_celery.app.pausing import pause, unpause
from saga_celery.app.payloads import payloads_of
from saga_celery.app.recurring import register_start
from saga_celery.app.retention import as_configured, carry_out, is_configured
from saga_celery.app.selection import Sagas
from saga_celery.core.events import News
from saga_celery.core.plan import CHAIN_FORM
from saga_celery.core.states import Slot
from saga_celery.definition import bind_desk
from saga_celery.definition.desk import current_desk
from saga_celery.definition.hooks import Hooks, declared_hooks
from saga_celery.definition.outcomes import interpret_probe
from saga_celery.definition.registry import has_plan
from saga_celery.definition.renderer import ClassRenderer
from saga_celery.engine.admission import AdmissionControl
from saga_celery.engine.coordinator import Coordinator, Handled
from saga_celery.engine.courier import Courier
from saga_celery.engine.gate import PauseGate
from saga_celery.engine.janitor import Janitor
from saga_celery.engine.lookout import LONGEST_GAP, Lookout
from saga_celery.engine.payloads import Payloads
from saga_celery.engine.ports import Living, Pause, Running
from saga_celery.engine.redaction import Redaction
from saga_celery.engine.sweeper import Sweeper
from saga_celery.errors import NotConfigured, SagaNotFound, SchemaOutOfDate, StoreError, StoreUnavailable
from saga_celery.logs import tell_own_records
from saga_celery.settings import Settings
from saga_celery.signals import tell, tell_of
from saga_celery.store import SQLStore
from saga_celery.store.ends import Ends
from saga_celery.store.executors import Executor
from saga_celery.store.faults import MIGRATE
from saga_celery.store.queries import IN_VAIN, STUCK_AFTER
from saga_celery.store.version import check, check_through
from saga_celery.transport.end_calls import EndCaller, RedisEars, can_call
from saga_celery.transport.install import install
from saga_celery.transport.lifecycle_events import LifecycleEvents, events_are_on
from saga_celery.transport.publisher import CeleryTransport
from saga_celery.transport.run_on import Diverted, RunOn
from saga_celery.transport.shown import parameters_of
from saga_celery.transport.tracing import note


class SagaApp:
    """Sagas for a Celery app.

    Nothing is connected and no setting is read before it is needed, so it may stand right below the line that makes the
    Celery app. Where `saga_database_url` is set, or the framework around has a database for
    them, this process moves sagas itself; elsewhere it reports to those that do.

    Args:
        celery: the user's app; its configuration holds the `saga_*` settings.
    """

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._settings: Settings | None = None
        self._hooks: Hooks = {}
        self._store: SQLStore | None = None
        self._transport: CeleryTransport | None = None
        self._events = LifecycleEvents(celery)
        self._caller: EndCaller | None = None
        self._caller_is_known = False
        self._payloads: Payloads | None = None
        self._lookout: Lookout | None = None
        self._janitor = Janitor(lambda: carry_out(self, as_configured(self)))
        self._schema_is_good = False
        self.run_on = RunOn(
            celery, settings=lambda: self.settings, transport=lambda: self.transport, has_plan=self.has_plan
        )
        self._gate = PauseGate(lambda: self.store.pauses.all())
        self.desk = AppDesk(self)
        _apps[celery] = self
        tell_own_records()
        bind_desk(self.desk)
        if install(self):
            register_start(self)

    @classmethod
    def of(cls, celery: Celery) -> SagaApp:
        """The saga app of a Celery app.

        Raises:
            NotConfigured: there is none yet.
        """
        found = _apps.get(celery)
        if found is None:
            raise NotConfigured(
                f"the Celery app {celery.main!r} has no sagas: add `SagaApp(app)` below the line that makes it"
            )
        return found

    @classmethod
    def current(cls) -> SagaApp:
        """The saga app of this process.

        Raises:
            NotConfigured: there is none yet.
        """
        desk = current_desk()
        if not isinstance(desk, AppDesk):
            raise NotConfigured(f"the sagas of this process are bound to {desk!r}, which is no app")
        return desk.app

    # ----------------------------------------------------------------------------------------------------------- parts

    @property
    def celery(self) -> Celery:
        """The user's Celery app."""
        return self._celery

    @property
    def sagas(self) -> Sagas:
        """All sagas, to be looked for: `app.sagas.where(stuck=True).retry(reason="…")`."""
        return Sagas(self)

    @property
    def settings(self) -> Settings:
        """The checked configuration, read at first use.

        Raises:
            NotConfigured: a `saga_*` setting is unknown or has an impossible value.
        """
        if self._settings is None:
            settings = Settings.from_conf(self._celery.conf)
            hooks = declared_hooks(settings.hooks, lambda problem: NotConfigured(f"saga_hooks: {problem}"))
            self._hooks = with_alerts(hooks, settings)
            self._settings = settings
        return self._settings

    @property
    def has_store(self) -> bool:
        """True when this process knows the saga database."""
        return bool(self.settings.database_url) or self.framework_database is not None

    @property
    def framework_database(self) -> FrameworkDatabase | None:
        """The database of the web framework around, where that holds the sagas."""
        framework = current_framework()
        if framework is None or self.settings.database_url:
            return None
        return framework.database(self.settings)

    @property
    def store(self) -> SQLStore:
        """The saga database.

        Raises:
            NotConfigured: `saga_database_url` is not set, and no framework brings a database along.
        """
        database = self.framework_database
        if database is not None and self._store is not None and self._store.connections.url is not database.url:
            self._forget_store()  # a test runner has turned to a database of its own
        if self._store is None:
            if not self.has_store:
                raise NotConfigured(
                    "this process has no saga database: set `saga_database_url` in the Celery configuration; under "
                    'Django, add "saga_celery.contrib.django" to INSTALLED_APPS'
                )
            url = self.settings.database_url if database is None else database.url
            options = {**self.settings.database_options, **(database.engine_options if database else {})}
            self._store = SQLStore(url, chance=draw, **options)
        return self._store

    def _forget_store(self) -> None:
        if self._store is not None:
            self._store.dispose()
        self._store = self._transport = self._payloads = self._lookout = None
        self._caller, self._caller_is_known, self._schema_is_good = None, False, False

    @property
    def payloads(self) -> Payloads:
        """Packs and opens values.

        Raises:
            NotConfigured: a setting names a codec or a payload store that is not there.
        """
        if self._payloads is None:
            self._payloads = payloads_of(self.settings, (lambda: self.store.payloads) if self.has_store else None)
        return self._payloads

    def display(self, *, whole: bool = False) -> Display:
        """Prepares what is stored for people's eyes.

        Args:
            whole: values that are kept apart are read, too.
        """
        redaction = Redaction(self.settings.redact, lambda task: parameters_of(self.celery.tasks.get(task)))
        return Display(payloads=self.payloads, redaction=redaction, whole=whole)

    @property
    def transport(self) -> CeleryTransport:
        """The broker."""
        if self._transport is None:
            time = self.store.watch.time if self.has_store else None
            self._transport = CeleryTransport(self._celery, self.settings, time, self.payloads)
        return self._transport

    def coordinator(self, *, parks_render_failures: bool) -> Coordinator:
        """A coordinator that may run the sagas' code."""
        packer = self.payloads.packer()
        return Coordinator(
            store=self.store,
            transport=Diverted(self.transport, self.run_on, self.store.share),
            renderer=ClassRenderer(self.settings, packer.opened if packer else self.payloads.opened),
            backoff=backoff,
            parks_render_failures=parks_render_failures,
            gate=self._gate,
            on_facts=self._told,
            courier=self._courier(),
            admission=self._admission(),
            packer=packer,
        )

    def operator(self) -> Coordinator:
        """A coordinator that leaves the sagas' code to the workers: for operators, and for the sweeper."""
        return Coordinator(
            store=self.store,
            transport=self.transport,
            renderer=None,
            backoff=backoff,
            gate=self._gate,
            on_facts=self._told,
            courier=self._courier(),
            admission=self._admission(),
            packer=self.payloads.packer(),
        )

    def sweeper(self) -> Sweeper:
        """A sweeper."""
        return Sweeper(
            store=self.store,
            transport=self.transport,
            coordinator=self.operator(),
            gate=self._gate,
            courier=self._courier(),
            lookout=self._lookout_of_process(),
            janitor=self._janitor if is_configured(self) else None,
        )

    def _lookout_of_process(self) -> Lookout:
        """It remembers from one sweeper to the next."""
        if self._lookout is None:
            self._lookout = Lookout(
                rows=self.store.stuck,
                store=self.store,
                patience=STUCK_AFTER,
                in_vain=IN_VAIN,
                gap=max(LONGEST_GAP, 3 * self.settings.sweep_interval),
                courier=self._courier(),
                on_stuck=tell_of,
            )
        return self._lookout

    def _told(self, handled: Handled) -> None:
        """After the commit of a transition."""
        if handled.state.status.ended and self._end_caller is not None:
            self._end_caller.say(handled.state.id)
        if events_are_on(self._celery):
            self._events.tell(handled, self._redaction())
        note(self._celery, handled)
        log_dead_letters(handled, self.store.plan, self._redaction)
        tell(handled)

    def _redaction(self) -> Redaction:
        return Redaction(self.settings.redact)

    @property
    def _end_caller(self) -> EndCaller | None:
        """Calls out the ends of sagas where the database does not; None where the broker can not either."""
        if not self._caller_is_known:  # no `cached_property`: its lock could be held elsewhere while a pool forks
            calls = not self.store.calls_ends and can_call(self._celery)
            self._caller = EndCaller(self._celery) if calls else None
            self._caller_is_known = True
        return self._caller

    def ends(self) -> Ends:
        """Ears for one thread that waits for the ends of sagas; opens nothing yet."""
        return self.store.ends() if self._end_caller is None else RedisEars(self._celery)

    def _admission(self) -> AdmissionControl:
        return AdmissionControl(gates=self.store.gates, transport=self.transport)

    def _courier(self) -> Courier:
        grace, rows = self.settings.hook_grace, self.store.deliveries
        hooks = ClassHooks(self._hooks, rows.labels, grace, lambda found: self.store.plan(found).form == CHAIN_FORM)
        return Courier(hooks=hooks, rows=rows, post=self.transport)

    # ---------------------------------------------------------------------------------------------------------- pauses

    def pause(self, *, name: str | None = None, task: str | None = None, reason: str, actor: str = "code") -> Pause:
        """Keep back what would be sent, until `unpause`: no attempt is used up and no time runs out meanwhile.

        What a worker has in hand goes on, and its outcome is recorded. Every process notices within 2 seconds; what it
        sends before that is sent as usual.

        Args:
            name: of the sagas that are meant, or a pattern: `shop.*`.
            task: name of the task that is meant, of whatever saga, or a pattern: `billing.*`.
            reason: kept with the pause.
            actor: who asks.

        Returns:
            The pause; the earlier one, where the same is paused already.

        Raises:
            InputRejected: not exactly one of `name` and `task` is given, or it is no name.
            Refused: no reason is given.
        """
        made = pause(self, name=name, task=task, reason=reason, actor=actor)
        self._gate.refresh()
        return made

    def unpause(self, *, name: str | None = None, task: str | None = None, reason: str, actor: str = "code") -> None:
        """End a pause: what was kept back goes out with the next sweep.

        Args:
            name: see `pause`, as for the rest; the same pattern, where it was one.
            task: see `pause`.
            reason: for the log.
            actor: who asks.

        Raises:
            InputRejected: not exactly one of `name` and `task` is given, or it is no name.
            Refused: no such pause; says what is paused. Or no reason is given.
        """
        unpause(self, name=name, task=task, reason=reason, actor=actor)
        self._gate.refresh()

    def pauses(self) -> list[Pause]:
        """What is paused now, the oldest first."""
        self.check_schema()
        return self.store.pauses.all()

    # ------------------------------------------------------------------------------------------- what the transport
    # asks

    def has_plan(self, saga_name: str, plan_hash: str) -> bool:
        """True when this process can render the saga: it has its class with this very graph, or it is a chain."""
        return has_plan(saga_name, plan_hash) or self._is_chain(plan_hash)

    def _is_chain(self, plan_hash: str) -> bool:
        """Asks the database once for each plan; whoever works in place waits for one that does not answer now."""
        try:
            return self.store.plan(plan_hash).form == CHAIN_FORM
        except StoreUnavailable:
            return True
        except StoreError:  # another deployment's saga, whose plan lies in another database
            return False

    def interpret(self, saga_id: str, slot: Slot, attempt: int, result: object) -> News:
        """Let the saga's code say what a probe's answer means.

        Raises:
            SagaNotFound: there is no such saga.
            UnknownSaga: its class is not in this process.
        """
        state = self.store.load(saga_id)
        if state is None:
            raise SagaNotFound(f"no saga has the id {saga_id!r}")
        plan, opener = self.store.plan(state.plan_hash), self.payloads.opened
        return interpret_probe(state, slot, attempt, result, plan=plan, opener=opener)

    def hook_ended(self, event_id: str) -> None:
        """Note that a hook has run to its end."""
        self.store.deliveries.settle([event_id])

    def alert(self, event: Any, webhook: int) -> None:
        """Post what a hook is told to a webhook; `webhook` is its place in `saga_alert_webhook`, from 1 on.

        Raises:
            AlertNotDelivered: it did not take it.
        """
        Alerts(self.settings).post(event, webhook)

    @property
    def migrate_command(self) -> str | None:
        """What brings the tables to this release's form; None: `saga migrate` of the command line."""
        return self.framework_database.migrate if self.framework_database is not None else None

    def check_settings(self) -> None:
        """Refuse settings that can not be, or name a codec, a key or a payload store that is not there.

        Raises:
            NotConfigured: says which, and what to write.
        """
        payloads_of(self.settings, None)  # thrown away: a worker asks before it forks, and each process makes its own

    def check_schema(self, executor: Executor | None = None) -> None:
        """Refuse to work on tables of another release; asks the database once per process.

        Args:
            executor: asks through the caller's transaction; None: on a connection of the store's own.

        Raises:
            SchemaOutOfDate: says what to run.
        """
        store, database = self.store, self.framework_database
        if self._schema_is_good or (database is not None and database.is_test):
            return
        try:
            check(store.connections) if executor is None else check_through(executor)
        except SchemaOutOfDate as error:
            raise SchemaOutOfDate(str(error).replace(MIGRATE, self.migrate_command or MIGRATE)) from error
        self._schema_is_good = True

    def beat(self, worker: str, running: Sequence[Running], swept: float | None = None) -> None:
        """Write the worker's heartbeat; `swept`: seconds since its sweeper finished a round."""
        self.store.beat(worker, running, swept)

    def farewell(self, worker: str) -> None:
        """Take the worker's heartbeat away."""
        self.store.farewell(worker)

    def living(self) -> Living:
        """The workers with a fresh heartbeat."""
        return self.store.living()

    def dispose(self) -> None:
        """Forget what belongs to the parent process, after a fork."""
        self.desk.close()
        if self._store is not None:
            self._store.dispose()


_apps: WeakKeyDictionary[Celery, SagaApp] = WeakKeyDictionary()
