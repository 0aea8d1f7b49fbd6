"""The fields of a form in which a person answers a wait, made of the type of its event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saga_celery.definition.registry import find, is_registered

MOST_FIELDS = 12
_SIMPLE = frozenset({"boolean", "string", "integer", "number"})


def answer_form(saga_name: str, step: str) -> list[dict[str, Any]] | None:
    """The fields of an answer.

    Args:
        saga_name: of the saga that waits.
        step: the wait, by the name that it has in the saga's plan.

    Returns:
        `name`, `type` (of JSON Schema: boolean, string, integer or number), `choices`, `default` and `required` of
        each field; None where the answer is better written as JSON: its type is not known here, or is not that plain.
    """
    schema = _schema(saga_name, step)
    properties = (schema or {}).get("properties")
    if not isinstance(properties, Mapping) or not properties or len(properties) > MOST_FIELDS:
        return None
    required = (schema or {}).get("required", ())
    fields = [_field(name, _plain(of, schema or {}), name in required) for name, of in properties.items()]
    return None if None in fields else [each for each in fields if each is not None]


def _schema(saga_name: str, step: str) -> dict[str, Any] | None:
    if not is_registered(saga_name):
        return None
    definition = find(saga_name).definition()
    found = definition.steps.get(definition.former.get(step, step))
    return None if found is None else found.result.schema()


def _plain(of: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference stands for, and of `X | None` the X."""
    options = [each for each in of.get("anyOf", ()) if each.get("type") != "null"]
    if len(options) == 1:
        of = {**of, **options[0], "optional": True}
    reference = str(of.get("$ref", ""))
    named = schema.get("$defs", {}).get(reference.rpartition("/")[2]) if reference else None
    return {**of, **named} if named else of


def _field(name: str, of: Mapping[str, Any], required: bool) -> dict[str, Any] | None:
    kind = of.get("type")
    if kind not in _SIMPLE:
        return None
    return {
        "name": name,
        "type": kind,
        "choices": list(_choices(of)),
        "default": of.get("default"),
        "required": required,
        "optional": bool(of.get("optional")),
    }


def _choices(of: Mapping[str, Any]) -> Iterator[Any]:
    if "const" in of:
        yield of["const"]
    yield from of.get("enum", ())
