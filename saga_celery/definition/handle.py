"""A handle: one saga in the hands of whoever started it, or looks after it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from saga_celery.core.events import OperatorAsked, Resolution, Verb
from saga_celery.core.states import SagaStatus
from saga_celery.definition.calls import decoded
from saga_celery.definition.definitions import Definition
from saga_celery.definition.desk import Desk, HistoryEntry, Snapshot
from saga_celery.definition.endings import unsuccessful
from saga_celery.definition.resolutions import resolution_of
from saga_celery.definition.sending import send
from saga_celery.engine.packed import is_packed
from saga_celery.engine.redaction import Redaction
from saga_celery.errors import SagaUnfinished

ResultT = TypeVar("ResultT")

ACTOR = "code"
"""Who acts when nobody is named."""


class SagaHandle(Generic[ResultT]):
    """One saga. It holds no connection and may be made, kept and dropped freely.

    Args:
        definition: the saga's class, compiled.
        desk: where it is looked up.
        saga_id: its id.
        created: False when `start(key=…)` found it there already, and when it comes from `get`.

    Attributes:
        id: the saga's id.
        created: see above.
    """

    def __init__(self, definition: Definition, desk: Desk, saga_id: str, *, created: bool) -> None:
        self._definition = definition
        self._desk = desk
        self.id = saga_id
        self.created = created

    def __repr__(self) -> str:
        return f"<saga {self._definition.name} {self.id}>"

    # ----------------------------------------------------------------------------------------------------------- read

    @property
    def state(self) -> SagaStatus:
        """Where the saga stands now; read at each access.

        Raises:
            SagaNotFound: it is not stored, or not visible yet.
        """
        return self.snapshot().state

    def snapshot(self) -> Snapshot:
        """Everything about the saga as it is stored now; large values and sealed ones are read by `opened`.

        Raises:
            SagaNotFound: it is not stored, or not visible yet.
        """
        return self._desk.snapshot(self.id)

    def opened(self, value: Any) -> Any:
        """A value of a snapshot or of the history: what is sealed or kept apart is read, any other is given back.

        Raises:
            PayloadUnreadable: it is gone, or no codec of this process opens it.
            StoreUnavailable: the payload store does not answer.
        """
        return self._desk.opened(self.id, value) if is_packed(value) else value

    def history(self) -> list[HistoryEntry]:
        """Every transition so far, the first one first.

        Raises:
            SagaNotFound: it is not stored, or not visible yet.
        """
        return self._desk.history(self.id)

    # ----------------------------------------------------------------------------------------------------------- wait

    def wait(self, timeout: float | None = None) -> SagaStatus:
        """Wait until the saga has ended, in whatever way.

        Args:
            timeout: seconds; None: as long as it takes.

        Raises:
            SagaUnfinished: the time is over; at once, when the saga's start is not committed yet.
        """
        return self._ended(self._desk.wait(self.id, timeout), timeout)

    async def wait_async(self, timeout: float | None = None) -> SagaStatus:
        """Wait until the saga has ended, and let the event loop go on meanwhile. May be cancelled at any time.

        Args:
            timeout: seconds; None: as long as it takes.

        Raises:
            SagaUnfinished: the time is over; at once, when the saga's start is not committed yet.
        """
        return self._ended(await self._desk.wait_async(self.id, timeout), timeout)

    def result(self, timeout: float | None = None) -> ResultT:
        """Wait for the saga's end and return its result.

        Args:
            timeout: seconds; None: as long as it takes.

        Raises:
            SagaUnfinished: the time is over; at once, when the saga's start is not committed yet.
            SagaCompensated: it was undone; carries why, at which step, and what was undone.
            SagaFailed: it waits for an operator; carries why, and what to do next.
        """
        self.wait(timeout)
        return self._outcome()

    async def result_async(self, timeout: float | None = None) -> ResultT:
        """Wait for the saga's end and return its result, and let the event loop go on meanwhile.

        Args:
            timeout: seconds; None: as long as it takes.

        Raises:
            SagaUnfinished: the time is over; at once, when the saga's start is not committed yet.
            SagaCompensated: it was undone; carries why, at which step, and what was undone.
            SagaFailed: it waits for an operator; carries why, and what to do next.
        """
        await self.wait_async(timeout)
        return await asyncio.to_thread(self._outcome)

    def _ended(self, state: SagaStatus, timeout: float | None) -> SagaStatus:
        if not state.ended:
            raise SagaUnfinished(f"saga {self._definition.name} {self.id} is still {state} after {timeout} seconds")
        return state

    def _outcome(self) -> ResultT:
        snapshot = self.snapshot()
        if snapshot.state is SagaStatus.COMPLETED:
            plain = self.opened(snapshot.result)
            result: ResultT = decoded(self._definition.label, "its result", self._definition.result, plain)
            return result
        if not snapshot.state.ended:
            raise SagaUnfinished(
                f"saga {snapshot.name} {self.id} had ended, but an operator set it going again: "
                f"it is {snapshot.state}; wait once more"
            )
        raise unsuccessful(snapshot, self.history(), Redaction(self._desk.settings.redact))

    # ----------------------------------------------------------------------------------------------------------- send

    def send(
        self,
        wait: str,
        event: Any,
        *,
        event_id: str | None = None,
        actor: str = ACTOR,
        session: Any | None = None,
        connection: Any | None = None,
    ) -> None:
        """Answer a wait of the saga, also before its turn has come.

        Args:
            wait: name of the step that waits.
            event: the answer, of the type that the wait is for.
            event_id: there is one event of this id for the saga, so that the same may be sent again and again; default:
                every call is an event of its own. Of several events the first one is the answer.
            actor: who answers; kept in the history.
            session: an SQLAlchemy session whose transaction the sending joins.
            connection: a database connection whose transaction the sending joins.

        Raises:
            InputRejected: there is no such wait, or the event is of another type; nothing was sent.
            SagaNotFound: the saga is not stored.
            Refused: the saga has ended.
            EventConflict: another event was sent under this id before.
            StoreError: the database failed.
        """
        send(
            self._definition,
            self.id,
            wait,
            event,
            event_id=event_id,
            actor=actor,
            session=session,
            connection=connection,
            desk=self._desk,
        )

    # -------------------------------------------------------------------------------------------------------- operate

    def cancel(
        self,
        *,
        reason: str,
        actor: str = ACTOR,
        version: int | None = None,
        session: Any | None = None,
        connection: Any | None = None,
    ) -> SagaStatus:
        """Turn the saga round: what took effect is undone.

        Args:
            reason: kept in the history.
            actor: who asks.
            version: what `snapshot().version` was when you looked; None: whatever it is now.
            session: an SQLAlchemy session whose transaction this joins: the saga turns round once that has committed.
                Were it behind its pivot by then, it goes on, and its history says that it was asked.
            connection: a database connection whose transaction this joins.

        Raises:
            Refused: it is behind its pivot, or has ended.
            StaleVersion: it has moved since `version`.
        """
        asked = OperatorAsked(verb=Verb.CANCEL, reason=reason, actor=actor, version=version)
        if not self._desk.joins(session, connection):
            return self._operate(asked)
        names = (self._definition.name, *self._definition.former_names)
        return self._desk.post(self.id, asked, names=names, session=session, connection=connection)

    def retry(
        self,
        step: str = "",
        *,
        reason: str,
        actor: str = ACTOR,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        version: int | None = None,
    ) -> SagaStatus:
        """Try again what is parked, or rests before its next attempt.

        With `args` or `kwargs` it runs with other arguments, as a new generation: under a new idempotency key, which
        takes the place of the old one wherever that stands in the message.

        Args:
            step: empty: all that is parked.
            reason: kept in the history.
            actor: who asks.
            args: plain JSON: the positional arguments to run with; None: as they are. Needs a `step`.
            kwargs: plain JSON: the named arguments to change; the others stay. Needs a `step`.
            version: see `cancel`.

        Raises:
            Refused: nothing waits to be tried again, or the step whose arguments are changed is in doubt.
            StaleVersion: see `cancel`.
            InputRejected: the arguments are no plain JSON, or too large.
        """
        asked = OperatorAsked(
            verb=Verb.RETRY,
            step=step,
            reason=reason,
            actor=actor,
            version=version,
            args=None if args is None else tuple(args),
            kwargs=kwargs,
        )
        return self._operate(asked)

    def skip(
        self, step: str = "", *, reason: str, actor: str = ACTOR, result: Any = None, version: int | None = None
    ) -> SagaStatus:
        """Pass over what is parked.

        Args:
            step: empty: all that is parked.
            reason: kept in the history.
            actor: who asks.
            result: plain JSON that stands for the step's result.
            version: see `cancel`.

        Raises:
            Refused: nothing is parked that can be passed over.
            StaleVersion: see `cancel`.
        """
        asked = OperatorAsked(verb=Verb.SKIP, step=step, reason=reason, actor=actor, result=result, version=version)
        return self._operate(asked)

    def resolve(
        self,
        step: str = "",
        *,
        resolution: Resolution | str | None = None,
        reason: str,
        actor: str = ACTOR,
        result: Any = None,
        version: int | None = None,
    ) -> SagaStatus:
        """Say what became of a step in doubt, or that an effect after the end was taken care of.

        Args:
            step: empty: all that are in doubt.
            resolution: `Resolution.DONE` or `Resolution.NEVER`, or their text: "done" or "never".
            reason: kept in the history.
            actor: who says so.
            result: plain JSON that the step would have returned, where it is done.
            version: see `cancel`.

        Raises:
            Refused: nothing is in doubt, or the resolution is missing.
            InputRejected: there is no such resolution.
            StaleVersion: see `cancel`.
        """
        asked = OperatorAsked(
            verb=Verb.RESOLVE,
            step=step,
            reason=reason,
            actor=actor,
            resolution=resolution_of(resolution),
            result=result,
            version=version,
        )
        return self._operate(asked)

    def suspend(self, *, reason: str, actor: str = ACTOR, version: int | None = None) -> SagaStatus:
        """Send nothing more until `resume`: what is under way goes on, and its outcome is recorded.

        Args:
            reason: kept in the history, and shown while it lasts.
            actor: who asks.
            version: see `cancel`.

        Raises:
            Refused: it has ended.
            StaleVersion: see `cancel`.
        """
        return self._operate(OperatorAsked(verb=Verb.SUSPEND, reason=reason, actor=actor, version=version))

    def resume(self, *, reason: str, actor: str = ACTOR, version: int | None = None) -> SagaStatus:
        """Go on: what was due while the saga was suspended is due now.

        Args:
            reason: kept in the history.
            actor: who asks.
            version: see `cancel`.

        Raises:
            StaleVersion: see `cancel`.
        """
        return self._operate(OperatorAsked(verb=Verb.RESUME, reason=reason, actor=actor, version=version))

    def compensate(self, *, reason: str, actor: str = ACTOR, version: int | None = None) -> SagaStatus:
        """Undo a completed saga, within the `undo_window` of its class.

        Args:
            reason: kept in the history; the cause that `result()` then raises.
            actor: who asks.
            version: see `cancel`.

        Raises:
            Refused: it is not complete, has a pivot, or its window is over or was never opened.
            StaleVersion: see `cancel`.
        """
        return self._operate(OperatorAsked(verb=Verb.COMPENSATE, reason=reason, actor=actor, version=version))

    def rerun(self, from_step: str, *, reason: str, actor: str = ACTOR, version: int | None = None) -> SagaStatus:
        """Run again from a step on, as a new generation: of an undone saga all that does not stand, behind the pivot a
        step that failed for good. The steps before it keep their results; messages are made anew, by the code of today.

        Args:
            from_step: the first step to run.
            reason: kept in the history.
            actor: who asks.
            version: see `cancel`.

        Raises:
            Refused: something stands that would happen twice; names the earliest step that is possible.
            StaleVersion: see `cancel`.
        """
        asked = OperatorAsked(verb=Verb.RERUN, step=from_step, reason=reason, actor=actor, version=version)
        return self._operate(asked)

    def _operate(self, asked: OperatorAsked) -> SagaStatus:
        return self._desk.operate(self.id, asked)
