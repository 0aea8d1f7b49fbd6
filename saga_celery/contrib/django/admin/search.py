"""The search box of the list: an id or the beginning of one, a business key, or tags. Each asks an index."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.db import connections
from django.utils.text import smart_split, unescape_string_literal

from saga_celery.contrib.django.admin.names import saga_names
from saga_celery.contrib.django.models import SagaKey, SagaTag

HELP = "An id or the beginning of one, a key, or tags: customer=7 country=gb"

_BEGINNING = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")
_BEHIND = "g"
"""Sorts behind all that an id is made of, by whatever collation."""
MOST_BY_ID = 500
"""Sagas whose ids begin alike: those of the same minute do."""


def found_by(sagas: Any, text: str) -> Any:
    """The sagas that a text means; ids and keys go before tags.

    Args:
        sagas: a query set of them.
        text: what was typed, not empty.
    """
    ids = {*_by_id(sagas, text.lower()), *_by_key(sagas.db, text)}
    if ids:
        return sagas.filter(pk__in=ids)
    tags = list(_tags(text))
    for name, value in tags:
        sagas = sagas.filter(pk__in=SagaTag.objects.using(sagas.db).filter(name=name, value=value).values("saga_id"))
    return sagas if tags else sagas.none()


def _by_id(sagas: Any, text: str) -> list[str]:
    """A range of the primary key; `LIKE` finds its index by some collations only."""
    if not _BEGINNING.fullmatch(text):
        return []
    beginning = sagas.model.objects.using(sagas.db).filter(pk__gte=text, pk__lt=text + _BEHIND, pk__startswith=text)
    return list(beginning.order_by("-pk").values_list("pk", flat=True)[:MOST_BY_ID])


def _by_key(alias: str, text: str) -> list[str]:
    """Keys are indexed below the names of their sagas."""
    owned = SagaKey.objects.using(alias).filter(name__in=saga_names(connections[alias]), key=text)
    return list(owned.values_list("saga_id", flat=True))


def _tags(text: str) -> Iterator[tuple[str, str]]:
    """`name=value` or `name:value`, as often as wanted; nothing if any word of the text is neither."""
    words = [_pair(word) for word in smart_split(text)]
    if all(words):
        yield from (word for word in words if word is not None)


def _pair(word: str) -> tuple[str, str] | None:
    name, sign, value = word.partition("=") if "=" in word else word.partition(":")
    if not (name and sign):
        return None
    quoted = len(value) > 1 and value[0] in "\"'" and value[0] == value[-1]
    return name, unescape_string_literal(value) if quoted else value
