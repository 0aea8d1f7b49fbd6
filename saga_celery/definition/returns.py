"""What the methods of a saga class promise to return."""

from __future__ import annotations

from datetime import timedelta
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin

from celery.canvas import Signature

from saga_celery.definition.children import Child
from saga_celery.definition.kinds import members
from saga_celery.definition.shapes import display
from saga_celery.definition.skip import Skip
from saga_celery.definition.steps import Compensation, Probe, Step
from saga_celery.definition.trouble import wrong
from saga_celery.definition.waits import Sleep, Wait

Part = Step[Any] | Compensation | Probe


class Returned(NamedTuple):
    """What an annotation says."""

    result: Any
    """Type of the step's result."""
    may_skip: bool
    """There may be none."""
    fans_out: bool = False
    """A list of messages, one for each item."""


def wanted(part: Part) -> str:
    """What to write as the annotation of a method."""
    if isinstance(part, Wait):
        return "write `-> None`, or `-> Signature[X] | Skip` where it asks for the event with a task"
    if isinstance(part, Sleep):
        return "write `-> timedelta`"
    return "write `-> Signature[X]`, X being the result"


def returned(saga: type, name: str, annotation: Any, part: Part) -> Returned:
    """Read the return annotation of a method.

    Args:
        saga: the class.
        name: the method.
        annotation: resolved.
        part: what the method is.

    Raises:
        DefinitionError: it is none that such a method may have.
    """
    parts = members(annotation)
    if isinstance(part, Wait):
        return _of_wait(saga, name, annotation, part)
    if isinstance(part, Sleep):
        if annotation is not timedelta:
            raise wrong(saga, name, f"returns {display(annotation)}; a sleep returns how long: write `-> timedelta`")
        return Returned(NoneType, may_skip=False)
    kinds = (Signature, Child) if isinstance(part, Step) else (Signature,)
    found = [each for each in parts if _is_one(each, kinds) or _is_one(_item_of(each), (Signature,))]
    others = [each for each in parts if each is not Skip and each not in found]
    if len(found) != 1 or others:
        child = "or `Child[X]` to run another saga, " if isinstance(part, Step) else ""
        raise wrong(
            saga,
            name,
            f"returns {display(annotation)}; a saga method returns `Signature[X]`, or `list[Signature[X]]` to run one "
            f"message for each item, {child}and `| Skip` where there may be nothing to run",
        )
    fans_out = _item_of(found[0]) is not found[0]
    result = next(iter(get_args(_item_of(found[0]))), Any)
    return Returned(result, may_skip=Skip in parts, fans_out=fans_out)


def _item_of(annotation: Any) -> Any:
    """What is in a list; anything else as it is."""
    return next(iter(get_args(annotation)), None) if get_origin(annotation) is list else annotation


def _of_wait(saga: type, name: str, annotation: Any, part: Wait[Any]) -> Returned:
    parts = members(annotation)
    others = [each for each in parts if each not in (Skip, NoneType, None) and not _is_one(each, (Signature,))]
    if others:
        raise wrong(saga, name, f"returns {display(annotation)}; {wanted(part)}")
    return Returned(part.event, may_skip=Skip in parts or part.options.skippable)


def _is_one(annotation: Any, kinds: tuple[Any, ...]) -> bool:
    return annotation in kinds or get_origin(annotation) in kinds
