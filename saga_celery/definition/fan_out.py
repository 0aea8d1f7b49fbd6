"""The list that a fan-out returns, made into messages; each of them must be told from the others by its key."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from saga_celery.core.states import Message, Slot
from saga_celery.definition.definitions import Method
from saga_celery.definition.signatures import message_from
from saga_celery.errors import DefinitionError


def messages_from(answer: object, method: Method, keys: Collection[str], limit: int) -> tuple[Message, ...]:
    """Make the messages of what a fan-out returned.

    Args:
        answer: a list of signatures.
        method: the fan-out.
        keys: the keys that it asked for.
        limit: most bytes of the arguments of one message as JSON text.

    Raises:
        DefinitionError: it is no list, holds something else, or two items carry the same key.
        InputRejected: the arguments of an item are too large.
    """
    if not isinstance(answer, list | tuple):
        raise DefinitionError(
            f"{method.label} returned a {type(answer).__name__}, but is annotated `-> list[Signature[…]]`: return a "
            "list, or annotate it `-> Signature[…]`"
        )
    messages = tuple(
        message_from(each, f"{method.label}, item {number},", limit) for number, each in enumerate(answer, 1)
    )
    if keys:
        _check_keys(messages, keys, method.label)
    return messages


def one_of(messages: tuple[Message, ...], slot: Slot, items: int, label: str) -> Message:
    """The message of one item, which is run again under a new key.

    Raises:
        DefinitionError: the list has another length than when its items were stored.
    """
    if len(messages) != items:
        raise DefinitionError(
            f"{label} returned {len(messages)} items, but {items} when it was asked first, so nobody can tell which of "
            f"them is number {slot.item}; a saga method returns the same list for the same arguments"
        )
    return messages[slot.item - 1]


def _check_keys(messages: tuple[Message, ...], keys: Collection[str], label: str) -> None:
    """Two items with one key would be taken for one, and one of them would never take effect."""
    carriers: dict[str, int] = {}
    without = []
    for number, message in enumerate(messages, 1):
        carried = {text for text in _texts([message.args, message.kwargs]) if text in keys}
        for key in carried:
            other = carriers.setdefault(key, number)
            if other != number:
                raise DefinitionError(
                    f"{label}: items {other} and {number} carry the same key; give self.key(…) what tells them apart"
                )
        if not carried:
            without.append(number)
    if without and carriers:
        raise DefinitionError(f"{label}: item {without[0]} carries no key, though others do; give each self.key(…)")
    if len(keys) < len(messages):
        raise DefinitionError(
            f"{label} returned {len(messages)} items, but asked for {len(keys)} different keys; give self.key(…) what "
            "tells the items apart"
        )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
