"""`saga_chain`: a saga of the chain that is there already, with no class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from saga_celery.core.plan import CHAIN_FORM, Plan
from saga_celery.definition import registry, undo_windows
from saga_celery.definition.arguments import plain_arguments
from saga_celery.definition.chain_compiler import Compiled, compile_chain
from saga_celery.definition.chain_reading import read
from saga_celery.definition.chain_script import ScriptedStep, script_to_json
from saga_celery.definition.chain_signatures import check_call
from saga_celery.definition.checks import NAMES, is_limit, is_name
from saga_celery.definition.definitions import Definition
from saga_celery.definition.desk import IfExists, current_desk
from saga_celery.definition.handle import SagaHandle
from saga_celery.definition.payloads import NotPlain
from saga_celery.definition.shapes import Shape
from saga_celery.definition.starting import StartItem, Tags, check_if_exists, start_request
from saga_celery.definition.terms import IfLocked
from saga_celery.errors import DefinitionError, InputRejected, SagaNotFound

PLAIN_JSON = Shape(Any, {})
"""Signatures say nothing about types: results are what JSON makes of them."""


def saga_chain(
    name: str,
    *parts: object,
    compensations: Mapping[Any, object] | None = None,
    timeout: timedelta | None = None,
    undo_window: timedelta | None = None,
    max_running: int | None = None,
) -> SagaChain:
    """Make a saga of signatures that run one behind the other, each with the one that undoes it.

    As in Celery's `chain`, `.s(…)` takes the result of the part in front as its first argument and `.si(…)` does not;
    behind a group that is the list of its results. The `.s(…)` of a compensation takes its own action's result.

    Args:
        name: the name of the saga, under which it is stored; at most 200 letters, digits and `_.:-`.
        parts: each one is a pair `(action, compensation)`; a bare signature, which has nothing to undo; a `saga_step`
            with options; a group, or a pair of groups; a list of pairs and signatures, which run side by side; or a
            whole Celery chain.
        compensations: the signature that undoes a task, by the task's name, where no pair says it.
        timeout: time for the whole saga, after which it is undone; None, the default: as long as it needs.
        undo_window: for how long after its end a completed saga may still be undone by an operator's `compensate`;
            None, the default: what is complete stays.
        max_running: how many of these sagas may be under way at once; None, the default: no limit.

    Raises:
        DefinitionError: a part can not be kept; says which one, and what to write in its place.
    """
    label = f"saga_chain({name!r})"
    _check_name(name, label)
    for option, span in (("timeout", timeout), ("undo_window", undo_window)):
        if span is not None and (not isinstance(span, timedelta) or span <= timedelta(0)):
            raise DefinitionError(f"{label}: {option}={span!r} is no time span; write for example timedelta(hours=1)")
    if max_running is not None and not is_limit(max_running):
        raise DefinitionError(f"{label}: max_running={max_running!r} is no limit; write a whole number from 1")
    compiled = compile_chain(name, label, read(label, parts, compensations or {}))
    undo_windows.remember(name, undo_window)
    return SagaChain(_definition(name, label, compiled.plan, timeout, max_running), compiled)


def _check_name(name: str, label: str) -> None:
    if not is_name(name):
        raise DefinitionError(f"{label}: {name!r} can not be a name; {NAMES}")
    if registry.is_registered(name):
        taken = registry.find(name).__qualname__
        raise DefinitionError(
            f"{label}: is the name of the class {taken}; stored sagas are found by it, so take another"
        )


def _definition(
    name: str, label: str, plan: Plan, timeout: timedelta | None = None, max_running: int | None = None
) -> Definition:
    """A definition as handles and starts take it; there are no methods that it could know."""
    return Definition(
        name=name,
        label=label,
        input=PLAIN_JSON,
        result=PLAIN_JSON,
        plan=plan,
        steps={},
        timeout=None if timeout is None else timeout.total_seconds(),
        max_running=max_running,
    )


class SagaChain:
    """A chain that can be started, any number of times. It is made by `saga_chain`.

    Args:
        definition: name, graph and deadline.
        compiled: the messages.
    """

    def __init__(self, definition: Definition, compiled: Compiled) -> None:
        self._definition = definition
        self._compiled = compiled

    def __repr__(self) -> str:
        return f"<saga chain {self.name}: {', '.join(self._compiled.steps)}>"

    @property
    def name(self) -> str:
        """The name under which its sagas are stored."""
        return self._definition.name

    def definition(self) -> Definition:
        """The graph, and what a handle needs to know."""
        return self._definition

    def start(
        self,
        *args: Any,
        key: str | None = None,
        tags: Tags | None = None,
        headers: Mapping[str, str] | None = None,
        if_exists: IfExists = "return",
        session: Any | None = None,
        connection: Any | None = None,
        timeout: timedelta | None = None,
        lock: str | None = None,
        if_locked: IfLocked = "queue",
        priority: int | None = None,
        at: datetime | None = None,
        delay: timedelta | None = None,
    ) -> SagaHandle[Any]:
        """Start a saga. Once this has committed the saga ends, whatever happens to broker and workers.

        Args:
            args: go in front of the arguments of the first part, as with `chain.delay(…)`.
            key: there is one saga of this name with this key; a second start with the same signatures finds the first.
            tags: what it can be searched by.
            headers: message headers for all messages of the saga; default those of the caller's surroundings.
            if_exists: what to do when the key is taken: "return" that saga, "raise", or "new_if_ended".
            session: an SQLAlchemy session whose transaction the start joins.
            connection: a database connection whose transaction the start joins.
            timeout: time for this saga, counted from when it may begin; default that of the chain.
            lock: see `Saga.start`, as for the rest.
            if_locked: what to do while another saga has the lock.
            priority: of its messages, and in queues.
            at: when it begins.
            delay: how long from now it begins.

        Raises:
            InputRejected: arguments, key, tags, headers or terms do not fit; nothing was stored.
            KeyConflict: the key belongs to a saga with other signatures or arguments.
            AlreadyStarted: the key is taken, and `if_exists` is "raise".
            Locked: another saga has the lock, and `if_locked` is "raise"; nothing was stored.
            NotConfigured: there is no app in this process.
            StoreError: the database failed.
        """
        definition, desk = self._definition, current_desk()
        check_if_exists(definition, if_exists)
        item = StartItem(self.script(*args), key, tags, lock, priority, at, delay)
        limit = desk.settings.payload_limit
        request = start_request(definition, item, headers=headers, timeout=timeout, limit=limit, if_locked=if_locked)
        (started,) = desk.start([request], if_exists=if_exists, session=session, connection=connection)
        return SagaHandle(definition, desk, started.id, created=started.created)

    def get(self, id_or_key: str) -> SagaHandle[Any]:
        """A saga of this name by its id, or by the key that it was started with.

        Raises:
            SagaNotFound: there is none.
            NotConfigured: there is no app in this process.
        """
        return self.find(self.name, id_or_key)

    @classmethod
    def find(cls, name: str, id_or_key: str) -> SagaHandle[Any]:
        """A saga that some process started as a chain; the chain itself need not be known here.

        Args:
            name: of the chain.
            id_or_key: its id, or the key that it was started with.

        Raises:
            SagaNotFound: there is none.
            NotConfigured: there is no app in this process.
        """
        desk = current_desk()
        snapshot = desk.snapshot(id_or_key, name)
        if snapshot.name != name:
            raise SagaNotFound(f"saga {snapshot.id} is a {snapshot.name}, no {name}")
        definition = _definition(name, f"saga_chain({name!r})", Plan(saga=name, steps=(), form=CHAIN_FORM))
        return SagaHandle(definition, desk, snapshot.id, created=False)

    def script(self, *args: Any) -> dict[str, Any]:
        """What is stored as the input of a saga that is started with these arguments: plain JSON.

        Raises:
            InputRejected: the first part can not be called with them.
        """
        steps = dict(self._compiled.steps)
        for name in self._compiled.first:
            steps[name] = self._begun(name, args)
        return script_to_json(steps, self._compiled.result)

    def _begun(self, name: str, args: tuple[Any, ...]) -> ScriptedStep:
        step, scripted = self._compiled.first[name], self._compiled.steps[name]
        where = f"{self._definition.label}, step {name}"
        if args and step.action["immutable"]:
            raise InputRejected(
                f"{where}: start() was given arguments, but it is a .si(), which takes none; write .s()"
            )
        try:
            check_call(step.action, args, step.key_argument, where)
            given, _ = plain_arguments(args, {})
        except DefinitionError as error:
            raise InputRejected(f"{error}") from error
        except NotPlain as error:
            raise InputRejected(f"{where}: the arguments of start() are no plain JSON: {error}") from error
        message = scripted.action.message
        return replace(
            scripted, action=replace(scripted.action, message=replace(message, args=(*given, *message.args)))
        )
