"""Many sagas at once: found by a filter, counted, and operated one by one, none of which stops the others."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from saga_celery.core.events import OperatorAsked, Resolution, Verb
from saga_celery.core.states import SagaStatus
from saga_celery.definition.commands import is_open
from saga_celery.definition.handle import ACTOR
from saga_celery.definition.resolutions import resolution_of
from saga_celery.engine.log_fields import about
from saga_celery.errors import InputRejected, Refused, SagaError, StoreUnavailable
from saga_celery.store.views import SagaRow

if TYPE_CHECKING:
    from saga_celery.app.saga_app import SagaApp

logger = logging.getLogger("saga_celery")

PAGE = 200
"""Sagas read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operated:
    """What became of an operator's verb at one saga of many."""

    id: str
    name: str
    key: str | None
    state: SagaStatus | None
    """Where the saga stands then; None: the verb was not carried out."""
    error: Exception | None = None
    """Why not."""

    @property
    def done(self) -> bool:
        """True when the verb was carried out."""
        return self.error is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which sagas; what is left out does not matter."""

    name: str | None = None
    status: SagaStatus | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None
    stuck: bool = False
    suspended: bool = False
    everything: bool = False
    """Every saga of the database is meant."""

    @property
    def is_empty(self) -> bool:
        """Nothing was said about which."""
        return self == Filter()


class Sagas:
    """The sagas of an app, to be looked for.

    Args:
        app: the app.
    """

    def __init__(self, app: SagaApp) -> None:
        self._app = app

    def where(
        self,
        *,
        name: str | None = None,
        state: SagaStatus | str | None = None,
        tags: Mapping[str, str | int] | None = None,
        since: datetime | timedelta | None = None,
        stuck: bool = False,
        suspended: bool = False,
        everything: bool = False,
    ) -> Selection:
        """Those that fit all of this. Nothing is read yet.

        Args:
            name: of this name only.
            state: in this state only.
            tags: with all of these tags only.
            since: started then or later (aware), or within this time.
            stuck: only what waits for a person, or should have moved and did not.
            suspended: only what is suspended.
            everything: where nothing else is said: every saga of the database is meant, and may be operated.

        Raises:
            InputRejected: there is no such state, or the moment has no time zone.
        """
        found = Filter(
            name=name,
            status=_status(state),
            tags={tag: str(value) for tag, value in (tags or {}).items()},
            since=self._moment(since),
            stuck=stuck,
            suspended=suspended,
            everything=everything,
        )
        return Selection(self._app, found)

    def _moment(self, since: datetime | timedelta | None) -> datetime | None:
        """Lengths of time are taken off the database's clock, which wrote the times of the sagas."""
        if isinstance(since, timedelta):
            self._app.check_schema()
            return self._app.store.queries.now() - since
        if since is not None and since.tzinfo is None:
            raise InputRejected(f"since={since!r}: say in which time zone, as in datetime(…, tzinfo=UTC)")
        return since


class Selection:
    """The sagas that fit a filter, the newest first; looked for anew each time that they are counted or operated.

    Args:
        app: the app.
        wanted: which.
    """

    def __init__(self, app: SagaApp, wanted: Filter) -> None:
        self._app = app
        self._wanted = wanted

    def count(self) -> int:
        """How many there are just now."""
        self._app.check_schema()
        wanted = self._wanted
        return self._app.store.queries.count(
            name=wanted.name,
            status=wanted.status,
            tags=wanted.tags,
            since=wanted.since,
            stuck=wanted.stuck,
            suspended=wanted.suspended,
        )

    def __iter__(self) -> Iterator[SagaRow]:
        """One by one, read in pages."""
        self._app.check_schema()
        wanted, last = self._wanted, None
        while page := self._app.store.queries.find(
            name=wanted.name,
            status=wanted.status,
            tags=wanted.tags,
            since=wanted.since,
            stuck=wanted.stuck,
            suspended=wanted.suspended,
            limit=PAGE,
            after=last,
        ):
            yield from page
            last = page[-1]

    # --------------------------------------------------------------------------------------------------------- operate

    def cancel(self, *, reason: str, actor: str = ACTOR) -> list[Operated]:
        """Turn each of them round: what took effect is undone.

        Args:
            reason: kept in the history of each.
            actor: who asks.

        Returns:
            What became of each of them.

        Raises:
            Refused: the reason is empty.
        """
        return self._operate(OperatorAsked(verb=Verb.CANCEL, reason=reason, actor=actor))

    def retry(
        self,
        step: str = "",
        *,
        reason: str,
        actor: str = ACTOR,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> list[Operated]:
        """Try again what is parked, or rests before its next attempt.

        Args:
            step: empty: all that is parked.
            reason: kept in the history of each.
            actor: who asks.
            args: the positional arguments to run with, the same for each; see `SagaHandle.retry`.
            kwargs: the named arguments to change, the same for each.

        Returns:
            What became of each of them.

        Raises:
            Refused: the reason is empty.
        """
        edited = None if args is None else tuple(args)
        asked = OperatorAsked(verb=Verb.RETRY, step=step, reason=reason, actor=actor, args=edited, kwargs=kwargs)
        return self._operate(asked)

    def skip(self, step: str = "", *, reason: str, actor: str = ACTOR, result: Any = None) -> list[Operated]:
        """Pass over what is parked.

        Args:
            step: empty: all that is parked.
            reason: kept in the history of each.
            actor: who asks.
            result: plain JSON that stands for the step's result, the same for each.

        Returns:
            What became of each of them.

        Raises:
            Refused: the reason is empty.
        """
        return self._operate(OperatorAsked(verb=Verb.SKIP, step=step, reason=reason, actor=actor, result=result))

    def resolve(
        self,
        step: str = "",
        *,
        resolution: Resolution | str | None = None,
        reason: str,
        actor: str = ACTOR,
        result: Any = None,
    ) -> list[Operated]:
        """Say what became of the steps in doubt, or that effects after the end were taken care of.

        Args:
            step: empty: all that are in doubt.
            resolution: `Resolution.DONE` or `Resolution.NEVER`, or their text: "done" or "never".
            reason: kept in the history of each.
            actor: who says so.
            result: plain JSON that the step would have returned, the same for each.

        Returns:
            What became of each of them.

        Raises:
            Refused: the reason is empty.
            InputRejected: there is no such resolution.
        """
        asked = OperatorAsked(
            verb=Verb.RESOLVE,
            step=step,
            reason=reason,
            actor=actor,
            resolution=resolution_of(resolution),
            result=result,
        )
        return self._operate(asked)

    def suspend(self, *, reason: str, actor: str = ACTOR) -> list[Operated]:
        """Send nothing more of each of them until they are resumed.

        Args:
            reason: kept in the history of each, and shown while it lasts.
            actor: who asks.

        Returns:
            What became of each of them.

        Raises:
            Refused: the reason is empty.
        """
        return self._operate(OperatorAsked(verb=Verb.SUSPEND, reason=reason, actor=actor))

    def resume(self, *, reason: str, actor: str = ACTOR) -> list[Operated]:
        """Let each of them go on.

        Args:
            reason: kept in the history of each.
            actor: who asks.

        Returns:
            What became of each of them.

        Raises:
            Refused: the reason is empty.
        """
        return self._operate(OperatorAsked(verb=Verb.RESUME, reason=reason, actor=actor))

    def compensate(self, *, reason: str, actor: str = ACTOR) -> list[Operated]:
        """Undo each of them that is complete, within the `undo_window` of its class.

        Args:
            reason: kept in the history of each.
            actor: who asks.

        Returns:
            What became of each of them.

        Raises:
            Refused: the reason is empty.
        """
        return self._operate(OperatorAsked(verb=Verb.COMPENSATE, reason=reason, actor=actor))

    def rerun(self, from_step: str, *, reason: str, actor: str = ACTOR) -> list[Operated]:
        """Run each of them again from a step on; see `SagaHandle.rerun`.

        Args:
            from_step: the first step to run.
            reason: kept in the history of each.
            actor: who asks.

        Returns:
            What became of each of them.

        Raises:
            Refused: the reason is empty.
        """
        return self._operate(OperatorAsked(verb=Verb.RERUN, step=from_step, reason=reason, actor=actor))

    def _operate(self, asked: OperatorAsked) -> list[Operated]:
        if self._wanted.is_empty:
            raise InputRejected(
                f"{asked.verb.value}: every saga of the database would be touched, as nothing says which are meant; "
                "narrow it down, where(name=…) or where(state=…), or say where(everything=True)"
            )
        return list(operate_each(self._app, self, asked))


def operate_each(app: SagaApp, rows: Iterable[SagaRow], asked: OperatorAsked) -> Iterator[Operated]:
    """Carry out a verb at each saga, and tell what became of it.

    When the database does not answer, nothing more is tried; each saga that is left is told of as not done.

    Args:
        app: where the sagas are.
        rows: the sagas.
        asked: the verb, with its actor and its reason.

    Raises:
        Refused: the reason is empty.
        StoreUnavailable: the sagas can not even be found.
    """
    if is_open(asked.reason):
        raise Refused(f"{asked.verb.value}: say why, the reason is kept in the history of each saga")
    away: StoreUnavailable | None = None
    for row in list(rows):  # found before the first is touched, so that what is done changes nothing about which
        done = _operated(app, row, asked) if away is None else _not_done(row, away)
        away = done.error if isinstance(done.error, StoreUnavailable) else None
        yield done


def _operated(app: SagaApp, row: SagaRow, asked: OperatorAsked) -> Operated:
    try:
        state = app.desk.operate(row.id, asked)
    except SagaError as error:
        return _not_done(row, error)
    except Exception as error:  # a bug at one saga must not stop the others
        logger.exception("%s of saga %s failed", asked.verb.value, row.id, extra=about(row.id, row.name))
        return _not_done(row, error)
    return Operated(id=row.id, name=row.name, key=row.key, state=state)


def _not_done(row: SagaRow, error: Exception) -> Operated:
    return Operated(id=row.id, name=row.name, key=row.key, state=None, error=error)


def _status(state: SagaStatus | str | None) -> SagaStatus | None:
    try:
        return None if state is None else SagaStatus(state)
    except ValueError:
        raise InputRejected(f"no state is called {state!r}; known are: {', '.join(SagaStatus)}") from None
