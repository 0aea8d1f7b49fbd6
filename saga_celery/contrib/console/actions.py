"""What a person may do to a saga from a web page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saga_celery.app import SagaApp
from saga_celery.app.answering import answer
from saga_celery.contrib.console.arguments import is_hidden
from saga_celery.contrib.console.request_body import check_body
from saga_celery.core.events import OperatorAsked, Resolution, Verb
from saga_celery.core.states import SagaStatus
from saga_celery.engine.redaction import HIDDEN
from saga_celery.errors import InputRejected, StaleVersion

SEND = "send"
VERBS = ("retry", "skip", "resolve", "cancel", SEND, "suspend", "resume")
"""What can be done here; the other verbs of operators are for the command line."""
FIELDS = ("reason", "step", "expected_version", "resolution", "result", "event", "args", "kwargs")


def act(app: SagaApp, saga_id: str, verb: str, body: Any, *, actor: str) -> dict[str, Any]:
    """Carry out a verb at a saga.

    Args:
        app: where the saga is.
        saga_id: its id.
        verb: one of `VERBS`.
        body: JSON: `reason`, needed for every verb but `send`, whose event speaks for itself; `step`, which of a list
            may name an item (`charge[2]`); `expected_version`, what `version` was when the person looked; `resolution`
            (`done`, `never`) and `result` of a step; `event`, the answer to the wait `step`; `args`, and of `kwargs`
            those that are to change, for a `retry` with other arguments.
        actor: who asks, kept in the history.

    Returns:
        `id`, `verb`, and where the saga stands now.

    Raises:
        InputRejected: the verb or something in the body can not be.
        Refused: the saga does not allow it, or no reason is given.
        StaleVersion: the saga has moved since `expected_version`.
        SagaNotFound: there is no such saga.
    """
    app.check_schema()
    if verb not in VERBS:
        raise InputRejected(f"there is no action {verb!r}; known are: {', '.join(VERBS)}")
    check_body(verb, body, FIELDS, actor=actor)
    state = _send(app, saga_id, body, actor) if verb == SEND else app.desk.operate(saga_id, _asked(verb, body, actor))
    return {"id": saga_id, "verb": verb, "state": state.value}


def _asked(verb: str, body: Mapping[str, Any], actor: str) -> OperatorAsked:
    return OperatorAsked(
        verb=Verb(verb),
        step=_text(verb, body, "step"),
        reason=_text(verb, body, "reason"),  # an empty one is refused by the desk
        actor=actor,
        resolution=_resolution(verb, body),
        result=body.get("result"),
        version=_version(verb, body),
        args=_args(verb, body),
        kwargs=_kwargs(verb, body),
    )


def _send(app: SagaApp, saga_id: str, body: Mapping[str, Any], actor: str) -> SagaStatus:
    if "event" not in body:
        raise InputRejected("send: the event is missing; it is the answer, as JSON")
    row, version = app.store.queries.row(saga_id), _version(SEND, body)
    if version is not None and version != row.version:
        raise StaleVersion(f"send saga {saga_id}: it is at version {row.version} by now, not {version}; look again")
    return answer(app, row, _text(SEND, body, "step"), body["event"], actor=actor).state


def _text(verb: str, body: Mapping[str, Any], name: str) -> str:
    text = body.get(name, "")
    if not isinstance(text, str):
        raise InputRejected(f"{verb}: {name} is a text")
    return text


def _args(verb: str, body: Mapping[str, Any]) -> tuple[Any, ...] | None:
    args = body.get("args")
    if args is not None and not isinstance(args, list):
        raise InputRejected(f"{verb}: args is a list: all arguments by position")
    return None if args is None else tuple(_all_seen(verb, args))


def _kwargs(verb: str, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    kwargs = body.get("kwargs")
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise InputRejected(f"{verb}: kwargs is an object: the arguments that are to change, by their names")
    return None if kwargs is None else _all_seen(verb, kwargs)


def _all_seen(verb: str, arguments: Any) -> Any:
    """What this page hides can not come back from it: it would take the place of the real value."""
    if is_hidden(arguments):
        raise InputRejected(
            f"{verb}: {HIDDEN!r} stands for what is not shown here; leave that argument as it is, or use `saga retry`"
        )
    return arguments


def _version(verb: str, body: Mapping[str, Any]) -> int | None:
    version = body.get("expected_version")
    if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
        raise InputRejected(f"{verb}: expected_version is a whole number")
    return version


def _resolution(verb: str, body: Mapping[str, Any]) -> Resolution | None:
    given = body.get("resolution")
    if given in (None, ""):
        return None
    try:
        return Resolution(given)
    except ValueError:
        known = ", ".join(each.value for each in Resolution)
        raise InputRejected(f"{verb}: resolution={given!r}; it is one of {known}") from None
