"""Encoding what goes into a saga and what comes out of it, checked against the declared type."""

from __future__ import annotations

from typing import Any

from saga_celery.definition.definitions import Definition
from saga_celery.definition.payloads import NotPlain, check_payload
from saga_celery.definition.shapes import Mismatch, Shape
from saga_celery.errors import InputRejected


def encode(shape: Shape, value: Any, what: str, limit: int) -> Any:
    """Make plain JSON of a value.

    Args:
        shape: its declared type, which is taken strictly: a text is no number. Plain data that a model can be
            read from are accepted.
        value: the value.
        what: how to call it in messages.
        limit: most bytes as JSON text.

    Raises:
        InputRejected: it is of another type, no plain JSON, or too large.
    """
    try:
        plain = shape.encode(value)
        check_payload(plain, what, limit)
    except Mismatch as error:
        raise InputRejected(f"{what} {error}") from error
    except NotPlain as error:
        raise InputRejected(f"{what} is no plain JSON: {error}") from error
    return plain


def encode_input(definition: Definition, data: Any, limit: int) -> Any:
    """Make plain JSON of the input of a saga.

    Args:
        definition: the saga.
        data: what `start()` was given.
        limit: most bytes as JSON text.

    Raises:
        InputRejected: it does not fit the saga's input type, is no plain JSON, or is too large.
    """
    return encode(definition.input, data, f"the input of {definition.label}", limit)
