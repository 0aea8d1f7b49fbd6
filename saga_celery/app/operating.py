"""What the state of a saga can not tell an operator: whether arguments can be sent, and what its author allows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from saga_celery.core.audit import letters_for
from saga_celery.core.events import OperatorAsked, Verb
from saga_celery.core.states import SagaState, SagaStatus
from saga_celery.core.supplying import complaints, takes_result
from saga_celery.definition import registry
from saga_celery.definition.arguments import plain_arguments
from saga_celery.definition.payloads import NotPlain, check_payload, to_plain
from saga_celery.definition.renames import Names
from saga_celery.definition.supplied import check_complaint, check_supplied
from saga_celery.definition.undo_windows import undo_window
from saga_celery.errors import DefinitionError, InputRejected, Refused, UnknownSaga
from saga_celery.store import SQLStore
from saga_celery.store.queries import Queries


def with_plain_values(asked: OperatorAsked, limit: int) -> OperatorAsked:
    """The same, with arguments and a result that can be stored and sent.

    Args:
        asked: the verb.
        limit: most bytes of each.

    Raises:
        InputRejected: they are no JSON, or too large.
    """
    return _with_plain_result(_with_plain_arguments(asked, limit), limit)


def _with_plain_arguments(asked: OperatorAsked, limit: int) -> OperatorAsked:
    if asked.args is None and asked.kwargs is None:
        return asked
    if asked.kwargs is not None and not isinstance(asked.kwargs, Mapping):
        raise InputRejected(f"kwargs={asked.kwargs!r}; pass a dict of names and values")
    what = f"the arguments of step {asked.step!r}"
    try:
        args, kwargs = plain_arguments(asked.args or (), asked.kwargs or {})
        check_payload([args, kwargs], what, limit)
    except NotPlain as error:
        raise InputRejected(f"{what}: {error}") from error
    return replace(
        asked,
        args=None if asked.args is None else tuple(args),
        kwargs=None if asked.kwargs is None else kwargs,
    )


def _with_plain_result(asked: OperatorAsked, limit: int) -> OperatorAsked:
    what = "the result"
    try:
        result = to_plain(asked.result)
        check_payload(result, what, limit)
    except NotPlain as error:
        raise InputRejected(f"{what}: {error}") from error
    return replace(asked, result=result)


def check_result(store: SQLStore, saga_id: str, asked: OperatorAsked) -> None:
    """Refuse what a person supplies as a step's result, or leaves out, where the saga would park again because of it.

    Where this process has no class of the saga, or that has lost the step, nobody here knows the type.

    Raises:
        InputRejected: it does not fit; names the type.
        Refused: it would replace a result of which nothing that is parked makes use.
    """
    state = store.load(saga_id) if asked.verb in (Verb.SKIP, Verb.RESOLVE) else None
    if state is None or not registry.is_registered(state.name):
        return
    plan = store.plan(state.plan_hash)
    names = Names(definition=registry.find(state.name).definition(), plan=plan)
    with suppress(DefinitionError):
        if not_made := complaints(plan, state, asked):
            check_complaint(names, asked.step, not_made)
            check_supplied(names, asked, asked.step)
        for found in letters_for(state, asked):
            if takes_result(plan, asked, found) and not _unneeded(state, asked):
                check_supplied(names, asked, found.step, found.item)


def _unneeded(state: SagaState, asked: OperatorAsked) -> bool:
    """What is skipped in a saga that turns round needs no result: nobody will take it."""
    return asked.verb is Verb.SKIP and asked.result is None and state.turn is not None


def check_undo_window(queries: Queries, saga_id: str, asked: OperatorAsked) -> None:
    """Refuse to undo a completed saga against the word of its author.

    Raises:
        Refused: its class has no `undo_window`, or that is over; or no process here knows it.
        SagaNotFound: there is no such saga.
    """
    if asked.verb is not Verb.COMPENSATE:
        return
    row = queries.row(saga_id)
    if row.status is not SagaStatus.COMPLETED or row.ended_at is None:
        return
    seconds = _window(row.name)
    if seconds is None:
        raise Refused(
            f"compensate saga {saga_id}: {row.name} does not say for how long a completed saga may be undone; "
            "write for example `undo_window = timedelta(days=7)` in its class (of a chain: saga_chain(undo_window=…))"
        )
    age = (queries.now() - row.ended_at).total_seconds()
    if age > seconds:
        raise Refused(
            f"compensate saga {saga_id}: it ended {_spoken(age)} ago, and {row.name} may be undone for "
            f"{_spoken(seconds)} (its undo_window)"
        )


def _window(name: str) -> float | None:
    try:
        return undo_window(name)
    except UnknownSaga as error:
        raise Refused(f"nobody here knows for how long it may be undone: {error}") from error


def _spoken(seconds: float) -> str:
    return f"{seconds / 86400:.3g} days" if seconds >= 86400 else f"{seconds:.3g} seconds"
