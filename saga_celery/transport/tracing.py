"""Where tracing takes part, if somebody has switched it on. Nothing here knows any tracing library.

A saga lasts for days and runs in many processes, so its trace hangs on an *anchor*: a place in a trace that messages
carry along. It comes from the headers that were stored at the start, or from the message whose news moved the saga.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Protocol, TypeVar

from celery import Celery

from saga_celery.engine.coordinator import Handled
from saga_celery.transport.wire import Delivery

logger = logging.getLogger("saga_celery")

ANCHOR = "saga_trace"
"""Header: the anchor, apart from those headers that instrumentations of Celery write anew for each message."""

Answer = TypeVar("Answer")
Surroundings = AbstractContextManager[Any]


class Anchor(Protocol):
    """A place in a trace, under which the spans of a saga hang."""

    @property
    def headers(self) -> Mapping[str, Any]:
        """What a message carries of it."""
        ...

    def active(self) -> Surroundings:
        """In it the anchor is where the process stands; spans of whoever publishes hang under it, too."""
        ...


class Tracing(Protocol):
    """What a tracing library has to know how to do."""

    def begin(self, saga_name: str, headers: Mapping[str, str], *, given: bool) -> Mapping[str, str]:
        """The headers that a new saga keeps, to be laid over those that are there.

        Args:
            saga_name: the saga.
            headers: what its start was given, or what the running task carries.
            given: the caller of `start()` gave them.
        """
        ...

    def anchor(self, saga_id: str, saga_name: str, stored: Mapping[str, str], cause: Any) -> Anchor:
        """Where what a saga sends now belongs.

        Args:
            saga_id: the saga.
            saga_name: its name.
            stored: the headers that it keeps.
            cause: what the message under which it moves now carries of an anchor; None: it is none of this saga's.
        """
        ...

    def running(self, delivery: Delivery, attempt: int, headers: Mapping[str, Any]) -> Surroundings:
        """In it the body of an attempt runs; what the body raises passes through.

        Args:
            delivery: the saga's side of the message.
            attempt: the one that was granted.
            headers: those of the message.
        """
        ...

    def moved(self, handled: Handled, cause: Any) -> None:
        """Take note of a transition that was committed.

        Args:
            handled: the saga after it, and its facts.
            cause: as for `anchor`.
        """
        ...


class _NoAnchor:
    headers: Mapping[str, Any] = {}

    def active(self) -> Surroundings:
        return nullcontext()


NO_ANCHOR: Anchor = _NoAnchor()
_installed: list[Tracing] = []


def install_tracing(tracing: Tracing | None) -> None:
    """Switch tracing on in this process, in place of what was on; None: off."""
    _installed[:] = [] if tracing is None else [tracing]


# ------------------------------------------------------------------------------------------------------- taking part
# A tracing library that raises, by whatever mistake of its set-up, must not make a step look failed.


def begun(saga_name: str, headers: Mapping[str, str], *, given: bool) -> Mapping[str, str]:
    """See `Tracing.begin`."""
    if not _installed:
        return headers
    nothing: Mapping[str, str] = {}
    return {**headers, **_guarded(lambda: _installed[0].begin(saga_name, headers, given=given), nothing)}


def anchor_of(celery: Celery, saga_id: str, saga_name: str, stored: Mapping[str, str]) -> Anchor:
    """See `Tracing.anchor`."""
    if not _installed:
        return NO_ANCHOR
    return _guarded(lambda: _installed[0].anchor(saga_id, saga_name, stored, _cause(celery, saga_id)), NO_ANCHOR)


def surroundings(delivery: Delivery, attempt: int, headers: Mapping[str, Any]) -> Surroundings:
    """See `Tracing.running`."""
    if not _installed:
        return nullcontext()
    return _Guarded(_guarded(lambda: _installed[0].running(delivery, attempt, headers), nullcontext()))


def note(celery: Celery, handled: Handled) -> None:
    """See `Tracing.moved`."""
    if _installed and handled.facts:
        _guarded(lambda: _installed[0].moved(handled, _cause(celery, handled.state.id)), None)


def passed_on(celery: Celery, saga_id: str) -> dict[str, Any]:
    """The headers by which a report says under which anchor its attempt ran."""
    cause = _cause(celery, saga_id) if _installed else None
    return {} if cause is None else {"saga_id": saga_id, ANCHOR: cause}


def _cause(celery: Celery, saga_id: str) -> Any | None:
    task = celery.current_worker_task
    headers: Mapping[str, Any] = (task.request.headers or {}) if task is not None else {}
    return headers.get(ANCHOR) if headers.get("saga_id") == saga_id else None


def _guarded(act: Callable[[], Answer], otherwise: Answer) -> Answer:
    try:
        return act()
    except Exception:
        logger.exception("tracing failed; the saga goes on without")
        return otherwise


class _Guarded:
    """Surroundings that neither raise nor swallow anything."""

    def __init__(self, inner: Surroundings) -> None:
        self._inner = inner
        self._entered = False

    def __enter__(self) -> None:
        self._entered = _guarded(self._enter, False)

    def _enter(self) -> bool:
        self._inner.__enter__()
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._entered:
            _guarded(lambda: self._inner.__exit__(kind, error, trace), None)
