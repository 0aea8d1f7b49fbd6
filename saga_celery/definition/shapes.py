"""A shape: the type of a value, and the way between it and plain JSON. All decoding is pydantic's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic_core import PydanticSerializationError

from saga_celery.definition.complaints import complaints, discreet_complaints
from saga_celery.definition.obstacles import obstacle
from saga_celery.definition.payloads import NotPlain, check_finite
from saga_celery.definition.secrets import WAY_OUT, keeps_back
from saga_celery.definition.typed_dicts import modern


class Mismatch(ValueError):
    """A value does not fit the annotation; the text goes on behind a name of the value, and does not tell it."""


class Shape:
    """One annotation, compiled.

    Args:
        annotation: a resolved annotation.
        scope: names by which annotations inside local TypedDicts are resolved.

    Raises:
        TypeError: values of this type have no JSON form.
    """

    def __init__(self, annotation: Any, scope: Mapping[str, Any]) -> None:
        self.annotation = annotation
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(modern(annotation, scope))
        except (PydanticUserError, NameError) as error:
            raise TypeError(str(error).partition("\n")[0]) from error
        self._may_keep_back = keeps_back(self._adapter)

    def __str__(self) -> str:
        return display(self.annotation)

    @property
    def allows_none(self) -> bool:
        """None is one of its values."""
        try:
            self._adapter.validate_python(None, strict=True)
        except ValidationError:
            return False
        return True

    @property
    def allows_list(self) -> bool:
        """An empty list is one of its values."""
        try:
            self._adapter.validate_json("[]")
        except ValidationError:
            return False
        return True

    def schema(self) -> dict[str, Any] | None:
        """The JSON Schema of its values; None: there is none for this type."""
        try:
            return self._adapter.json_schema()
        except PydanticInvalidForJsonSchema:
            return None

    def decode(self, plain: Any) -> Any:
        """Make a fresh value of plain JSON.

        Raises:
            Mismatch: it does not fit; says where, and not what it is: the text is stored, the value may be sealed.
        """
        try:
            return self._adapter.validate_json(json.dumps(plain))
        except ValidationError as error:
            found = discreet_complaints(error, plain, self._adapter.core_schema)
            raise Mismatch(f"does not fit {self}: {found}") from None  # its own text has the value in it

    def encode(self, value: Any) -> Any:
        """Make plain JSON of a value of exactly this type; plain data that a model can be read from are taken as well.

        Raises:
            Mismatch: the value is of another type.
            NotPlain: it can not be written as JSON, or not be read back from that, or holds NaN or infinity.
        """
        try:
            exact = self._exact(value)
        except ValidationError as error:
            raise Mismatch(f"is no {self}: {complaints(error)}") from None  # its own text has the value in it
        check_finite(exact)
        try:
            plain = self._adapter.dump_python(exact, mode="json", by_alias=True, round_trip=True)
            back = self._adapter.validate_json(json.dumps(plain))
        except PydanticSerializationError as error:
            raise NotPlain(f"it can not be read back from its JSON: {error}") from error
        except ValidationError as error:
            found = obstacle(value) or f"it can not be read back from its JSON: {complaints(error)}"
            raise NotPlain(found) from None
        except (ValueError, RecursionError) as error:  # circular, endlessly deep, or bytes that are no text
            raise NotPlain(obstacle(value) or str(error)) from error
        if self._may_keep_back and back != exact:
            raise NotPlain(WAY_OUT)
        return plain

    def _exact(self, value: Any) -> Any:
        try:
            return self._adapter.validate_python(value, strict=True)
        except ValidationError:
            text = _plain_text(value)
            if text is None:
                raise
        return self._adapter.validate_json(text, strict=True)


def _plain_text(value: Any) -> str | None:
    """JSON text of what is nothing but plain data, which strict Python validation refuses for dataclasses."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return None


def display(annotation: Any) -> str:
    """An annotation as one would write it."""
    if annotation is type(None):
        return "None"
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        return annotation.__name__
    return str(annotation).replace("typing.", "")
