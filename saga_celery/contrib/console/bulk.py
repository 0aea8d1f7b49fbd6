"""What a person may do to many sagas at once from a web page: those that are ticked, or all that fit a filter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from saga_celery.app import SagaApp
from saga_celery.app.selection import Operated, operate_each
from saga_celery.contrib.console.criteria import criteria
from saga_celery.contrib.console.parameters import wanted
from saga_celery.contrib.console.request_body import check_body
from saga_celery.core.events import OperatorAsked, Verb
from saga_celery.definition.resolutions import resolution_of
from saga_celery.errors import InputRejected, SagaError, SagaNotFound, StaleVersion
from saga_celery.store.views import SagaRow

BULK_VERBS = ("retry", "skip", "resolve", "cancel", "suspend", "resume")
"""What can be done to many; an event is the answer to one wait of one saga."""
FIELDS = ("filter", "expected_count", "ids", "reason", "step", "resolution", "result")
MOST_COUNTED = 10_000
MOST_AT_ONCE = 1000
"""Each is a transaction of its own, and a person waits for the answer."""


def matching(app: SagaApp, parameters: Mapping[str, str]) -> dict[str, Any]:
    """How many sagas fit a filter.

    Args:
        app: where they are.
        parameters: those of `sagas`; `limit` and `after`, which part the list into pages, change nothing.

    Returns:
        `count`, at most 10,000, and `more`: there are more than that.

    Raises:
        InputRejected: a parameter is unknown, or has a value that can not be.
    """
    app.check_schema()
    found = app.store.queries.tally(MOST_COUNTED, **criteria(app, wanted(parameters)))
    return {"count": found.count, "more": found.more}


def act_on_many(app: SagaApp, verb: str, body: Any, *, actor: str) -> dict[str, Any]:
    """Carry out a verb at many sagas, one by one; one that refuses does not stop the others.

    Args:
        app: where they are.
        verb: one of `BULK_VERBS`.
        body: JSON: `reason`, always needed; either `ids`, or `filter`, the parameters of `sagas`, with
            `expected_count`, what `matching` told; `step`, `resolution` and `result` as for one saga.
        actor: who asks, kept in each history.

    Returns:
        `verb`, `done`: how many; `refused`: `id`, `key` and `error` of each other one.

    Raises:
        InputRejected: the verb or something in the body can not be, nothing says which sagas are meant, or they are too
            many.
        Refused: no reason is given, or nobody is named.
        StaleVersion: not as many as expected fit the filter now.
    """
    app.check_schema()
    asked = _asked(verb, body, actor)
    rows, missing = _rows(app, verb, body)
    done = [*map(_missing, missing), *operate_each(app, rows, asked)]
    refused = [_refusal(each) for each in done if not each.done]
    return {"verb": verb, "done": len(done) - len(refused), "refused": refused}


def _asked(verb: str, body: Any, actor: str) -> OperatorAsked:
    if verb not in BULK_VERBS:
        raise InputRejected(f"there is no action {verb!r} for many sagas; known are: {', '.join(BULK_VERBS)}")
    check_body(verb, body, FIELDS, actor=actor)
    return OperatorAsked(
        verb=Verb(verb),
        step=_text(verb, body, "step"),
        reason=_text(verb, body, "reason"),  # an empty one is refused by `operate_each`
        actor=actor,
        resolution=resolution_of(_text(verb, body, "resolution") or None),
        result=body.get("result"),
    )


# ------------------------------------------------------------------------------------------------------ which are meant


def _rows(app: SagaApp, verb: str, body: Mapping[str, Any]) -> tuple[list[SagaRow], list[str]]:
    """The sagas, and the ids that none has."""
    if ("ids" in body) == ("filter" in body):
        raise InputRejected(f"{verb}: say which sagas are meant, by `ids` or by `filter`")
    if "filter" in body:
        return _fitting(app, verb, body), []
    ids = _ids(verb, body)
    found = {row.id: row for row in app.store.queries.find(ids=ids, limit=len(ids))}
    return [found[each] for each in ids if each in found], [each for each in ids if each not in found]


def _fitting(app: SagaApp, verb: str, body: Mapping[str, Any]) -> list[SagaRow]:
    asked = wanted(_parameters(verb, body))
    if not asked.is_narrow:
        raise InputRejected(f"{verb}: every saga of the database would be touched; narrow the filter down")
    expected = _expected_count(verb, body)
    rows = app.store.queries.find(**criteria(app, asked), limit=MOST_AT_ONCE + 1)
    if len(rows) > MOST_AT_ONCE:
        raise _too_many(verb)
    if len(rows) != expected:
        raise StaleVersion(f"{verb}: look again: {len(rows)} now, not {expected}; nothing was done")
    return rows


def _ids(verb: str, body: Mapping[str, Any]) -> list[str]:
    ids = body["ids"]
    if not (isinstance(ids, Sequence) and ids and all(isinstance(each, str) for each in ids)) or isinstance(ids, str):
        raise InputRejected(f"{verb}: ids is a list of texts, at least one")
    if len(ids) > MOST_AT_ONCE:
        raise _too_many(verb)
    if body.get("expected_count") not in (None, len(ids)):
        raise InputRejected(f"{verb}: expected_count is not how many ids there are; leave it out")
    return list(dict.fromkeys(ids))


def _too_many(verb: str) -> InputRejected:
    return InputRejected(
        f"{verb}: more than {MOST_AT_ONCE:,} sagas at once; narrow it down, or use the command `saga {verb}`"
    )


def _parameters(verb: str, body: Mapping[str, Any]) -> Mapping[str, str]:
    given = body["filter"]
    if not (isinstance(given, Mapping) and all(isinstance(value, str) for value in given.values())):
        raise InputRejected(f"{verb}: filter is a JSON object of texts, as `GET api/sagas` takes them")
    return given


def _expected_count(verb: str, body: Mapping[str, Any]) -> int:
    count = body.get("expected_count")
    if isinstance(count, bool) or not isinstance(count, int):
        raise InputRejected(f"{verb}: expected_count is a whole number, the one that `GET api/matching` told")
    return count


def _text(verb: str, body: Mapping[str, Any], name: str) -> str:
    text = body.get(name) or ""
    if not isinstance(text, str):
        raise InputRejected(f"{verb}: {name} is a text")
    return text


# ---------------------------------------------------------------------------------------------------- what became of it


def _missing(saga_id: str) -> Operated:
    error = SagaNotFound(f"no saga has the id {saga_id!r}")
    return Operated(id=saga_id, name="", key=None, state=None, error=error)


def _refusal(one: Operated) -> dict[str, Any]:
    known = isinstance(one.error, SagaError)
    error = str(one.error) if known else f"{type(one.error).__name__}: see the log of the server"
    return {"id": one.id, "key": one.key, "error": error}
