"""The signatures in a chain: which ones a saga can keep its promise for, and what they become."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from celery.app.task import Task
from celery.canvas import Signature

from saga_celery.core.states import Message
from saga_celery.definition.signatures import message_from, misfit
from saga_celery.errors import DefinitionError

_AT_ONCE = "a saga sends each message when its turn has come; for time limits and retries write saga_step(…, timeout=…)"
REFUSED = {
    "link": "what runs next is the next part of the chain: write it there",
    "link_error": "what runs on failure is the compensation: write the pair (action, compensation)",
    "eta": _AT_ONCE,
    "countdown": _AT_ONCE,
    "expires": _AT_ONCE,
    "retry": "that is about publishing, which the saga does; for attempts write saga_step(…, retry=Retry(attempts=…))",
}
"""Options of signatures that a saga has another word for."""

_INSTEAD = {
    "group": "a group is a part of its own; undo it member by member: (group(a, b), group(undo_a, undo_b))",
    "chain": "write its signatures as parts of their own, each with its compensation, or hand the chain over as it is "
    "and name what undoes which task: saga_chain(name, the_chain, compensations={'task': undo.s()})",
    "chord": "write the group and the body as two parts, one behind the other",
    "xmap": "one message would do many things, of which some may fail; write group(task.s(x) for x in items)",
    "xstarmap": "one message would do many things, of which some may fail; write group(task.s(*x) for x in items)",
    "chunks": "one message would do many things, of which some may fail; write group(task.s(x) for x in items)",
}


_OURS = {
    "ChainStep": "a saga_step in a pair; give it its compensation: saga_step(action, compensation, …)",
    "ChainCompensation": "a compensation without an action; write the pair (action, compensation(…))",
    "list": "a list within a list or a pair; a list holds the steps that run side by side: [(a, undo_a), b]",
    "tuple": "a pair within a pair; write (action, compensation)",
}


def check_signature(given: object, where: str) -> Signature[Any]:
    """The plain signature of one task.

    Args:
        given: what should be one.
        where: for the error.

    Raises:
        DefinitionError: it is something else, or has an option that a saga can not honour; says what to write.
    """
    if not isinstance(given, Signature):
        raise DefinitionError(f"{where}: {_kind(given)}")
    kind = kind_of(given)
    if kind:
        raise DefinitionError(f"{where}: a {kind} can not stand here; {_INSTEAD.get(kind, 'write plain signatures')}")
    if not isinstance(given.get("task"), str) or not given["task"]:
        raise DefinitionError(f"{where}: a signature without the name of a task")
    check_options(given, f"{where}, {given['task']}")
    return given


def kind_of(signature: Signature[Any]) -> str:
    """`chain`, `group`, `chord`, `xmap` …; empty for the signature of one task."""
    if type(signature) is Signature:
        return str(signature.get("subtask_type") or "")
    return type(signature).__name__.strip("_")


def check_options(signature: Signature[Any], where: str) -> None:
    """Refuse options that have another word in a saga.

    Raises:
        DefinitionError: names the word.
    """
    for option, why in REFUSED.items():
        if signature["options"].get(option) is not None:
            raise DefinitionError(f"{where}: {option}={signature['options'][option]!r} can not be kept: {why}")


def message_of(signature: Signature[Any], where: str) -> Message:
    """The message that is stored with the saga, still without the results that it will take.

    Raises:
        DefinitionError: arguments or options can not be stored.
    """
    # A bare copy: what it lacks is not an error, as `.s()` gets it later.
    bare: Signature[Any] = Signature(
        signature["task"],
        args=tuple(signature["args"]),
        kwargs=dict(signature["kwargs"]),
        options=dict(signature["options"]),
        immutable=True,
    )
    return message_from(bare, where, sys.maxsize)


def check_call(signature: Signature[Any], given: Sequence[Any], key_argument: str, where: str) -> None:
    """Whether the task can be called with what it will get.

    Args:
        signature: of the task.
        given: what comes in front of its own arguments.
        key_argument: by which name it gets its key; empty: it gets none.
        where: for the error.

    Raises:
        DefinitionError: it lacks an argument, or gets one too many.
    """
    kwargs = {**signature["kwargs"], **({key_argument: ""} if key_argument else {})}
    if key_argument in signature["kwargs"]:
        raise DefinitionError(f"{where}: {key_argument!r} is the key_argument and given as well; drop one of the two")
    problem = misfit(signature, (*given, *signature["args"]), kwargs)
    if problem is not None:
        taken = "takes a result in front" if given else "takes no result"
        form = ".s()" if not signature["immutable"] else ".si()"
        raise DefinitionError(
            f"{where}: {signature['task']} can not be called so: {problem}; as a {form} it {taken} here"
        ) from problem


def shown(signature: Signature[Any]) -> str:
    """A signature by the name of its task."""
    return str(signature["task"])


def _kind(given: object) -> str:
    if given is None:
        return "there is None; leave the place empty"
    if isinstance(given, Task):
        return f"the task {given.name} itself; write its signature: {given.name.rpartition('.')[2]}.s(…)"
    if type(given).__name__ in _OURS:
        return _OURS[type(given).__name__]
    if isinstance(given, dict):
        return "a dict; make a signature of it: celery.signature(that_dict)"
    if type(given).__name__ in ("AsyncResult", "EagerResult", "GroupResult"):
        return "a result: the task was sent already; write task.s(…), and leave sending to the saga"
    return f"a {type(given).__name__}; write a signature: task.s(…)"
