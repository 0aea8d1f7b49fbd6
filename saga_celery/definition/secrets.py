"""Types of pydantic's that write asterisks in place of themselves, so that nothing can be read back."""

from __future__ import annotations

from typing import Any

from pydantic import PydanticUserError, TypeAdapter

WAY_OUT = (
    "a SecretStr or SecretBytes is written as asterisks, so its task would never see the secret: annotate it as str, "
    "hide it from people by its name with `saga_redact`, and seal it with `saga_fernet_keys`; or give it a "
    "@field_serializer that gives its value"
)


def keeps_back(adapter: TypeAdapter[Any]) -> bool:
    """Tell whether values of this type, or parts of them, may be written as something else than what they are."""
    try:
        return _says_so(adapter.json_schema(mode="serialization"))
    except PydanticUserError:
        return False  # what has no schema is none of pydantic's secrets


def _says_so(schema: Any) -> bool:
    if isinstance(schema, dict):
        return (schema.get("format"), schema.get("writeOnly")) == ("password", True) or any(
            map(_says_so, schema.values())
        )
    return isinstance(schema, list) and any(map(_says_so, schema))
