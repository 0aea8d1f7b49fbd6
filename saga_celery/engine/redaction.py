"""Redaction: what is shown to people without what is nobody's business. It changes displays, never what is stored.

A value is hidden by the name that it has; an argument without one by the name of its parameter. Names are compared by
their words, so that `card` covers `card`, `cardNumber`, `CREDIT-CARD` and `cards`, but not `discard`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from typing import Any

from saga_celery.core.states import Message

HIDDEN = "***"
CUT = "…"
_KNOWN = 4096

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_VALUE = r"""(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;&(){}\[\]"']+)"""
_NAMED = re.compile(rf"""(?P<head>(?P<quote>["'])(?P<name>[\w .-]+)(?P=quote)\s*[:=]\s*){_VALUE}""")
_ASSIGNED = re.compile(rf"(?P<head>(?P<name>[A-Za-z_][\w.-]*)=){_VALUE}")
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE)


class Redaction:
    """Hides values by their names.

    Args:
        names: whose values are hidden.
        parameters: gives the names of a task's positional parameters; none of a task that is not known.
    """

    def __init__(self, names: Iterable[str], parameters: Callable[[str], Sequence[str]] = lambda task: ()) -> None:
        self._parameters = parameters
        self._names = frozenset("".join(_words(name)) for name in names) - {""}
        self._hidden: dict[str, bool] = {}

    def hides(self, name: str) -> bool:
        """Tell whether a value of this name is hidden: some of its words, side by side, are a name of the list."""
        found = self._hidden.get(name)
        if found is None:
            found = self._looked_up(name)
            if len(self._hidden) < _KNOWN:  # names come from data, too
                self._hidden[name] = found
        return found

    def _looked_up(self, name: str) -> bool:
        words = _words(name)
        runs = {"".join(words[first:last]) for last in range(len(words) + 1) for first in range(last)}
        return bool(self._names & (runs | {run.removesuffix("s") for run in runs}))

    def value(self, value: Any, *, most: int | None = None) -> Any:
        """A copy of plain data in which nothing is left that has a hidden name.

        Args:
            value: plain data.
            most: of how many parts to look at most; what lies behind is cut off. None: at all.
        """
        return _Walk(self, most).of(value)

    def arguments(self, task: str, args: Sequence[Any], *, behind: int = 0) -> tuple[Any, ...]:
        """Positional arguments without those whose parameters have a hidden name.

        Args:
            task: the name of the task.
            args: its arguments.
            behind: how many that are not among them come in front, such as the result of the step before.
        """
        names = [*self._parameters(task)[behind:], *[""] * len(args)]
        return tuple(
            HIDDEN if each is not None and self.hides(name) else each for each, name in zip(args, names, strict=False)
        )

    def text(self, text: str) -> str:
        """A text without what looks like a named value: `password=…`, `"token": "…"`, `Bearer …`."""
        if not self._names:
            return text
        text = _BEARER.sub(rf"\1 {HIDDEN}", text)
        return _ASSIGNED.sub(self._hide, _NAMED.sub(self._hide, text))

    def record(self, record: Any, opener: Callable[[Any], Any] = lambda value: value) -> Any:
        """A dataclass of the core or the store with its values and texts redacted; anything else as by `value`.

        Args:
            record: what is to be shown.
            opener: called with every value before it is redacted.
        """
        if isinstance(record, Message) and (args := self.arguments(record.task, record.args)) != record.args:
            record = replace(record, args=args)
        if is_dataclass(record) and not isinstance(record, type):
            parts = {part.name: getattr(record, part.name) for part in fields(record)}
            shown = {name: self._part(name, part, opener) for name, part in parts.items()}
            changed = {name: part for name, part in shown.items() if part is not parts[name]}
            return replace(record, **changed) if changed else record
        if isinstance(record, tuple):
            return record if hasattr(record, "_fields") else tuple(self.record(each, opener) for each in record)
        return self.value(opener(record)) if isinstance(record, dict | list) else record

    def _part(self, name: str, part: Any, opener: Callable[[Any], Any]) -> Any:
        if type(part) is str:  # and no member of an enumeration
            return self.text(part) if name in _PROSE else part
        if isinstance(part, Mapping) and any(map(is_dataclass, part.values())):
            return {key: self.record(each, opener) for key, each in part.items()}
        return self.record(part, opener)

    def _hide(self, found: re.Match[str]) -> str:
        return f"{found['head']}{HIDDEN}" if self.hides(found["name"]) else found[0]


NOTHING_HIDDEN = Redaction(())

_PROSE = frozenset({"message", "traceback", "detail", "reason", "note"})
"""Fields, and names in plain data, whose text somebody else wrote."""


_NOTHING = "nothing"
"""See `saga_celery.definition.chain_script.Takes`."""


@dataclass(slots=True)
class _Walk:
    """One walk through a value."""

    redaction: Redaction
    left: int | None

    def of(self, value: Any, behind: int = 0) -> Any:
        if self.left is not None:
            if self.left <= 0:
                return CUT
            self.left -= 1
        if isinstance(value, Mapping):
            return self._mapping(value, behind)
        if isinstance(value, list | tuple):
            return self._each(value, self.of, list if isinstance(value, list) else tuple)
        return value

    def _mapping(self, value: Mapping[Any, Any], behind: int) -> dict[Any, Any]:
        """Of a chain the input has the messages in it, and what it `takes` comes in front of their arguments."""
        task, args = value.get("task"), value.get("args")
        if isinstance(task, str) and isinstance(args, list | tuple):
            value = {**value, "args": type(args)(self.redaction.arguments(task, args, behind=behind))}
        in_front = int(value.get("takes", _NOTHING) != _NOTHING)
        found: dict[Any, Any] = self._each(value.items(), partial(self._item, in_front=in_front), dict)
        return found

    def _item(self, item: tuple[Any, Any], in_front: int) -> tuple[Any, Any]:
        name, value = item
        if value is not None and isinstance(name, str) and self.redaction.hides(name):
            return name, HIDDEN
        if isinstance(value, str) and name in _PROSE:
            return name, self.redaction.text(value)
        return name, self.of(value, in_front if name == "message" else 0)

    def _each(self, parts: Iterable[Any], convert: Callable[[Any], Any], kind: Callable[[Iterable[Any]], Any]) -> Any:
        found = []
        for part in parts:
            if self.left is not None and self.left <= 0:
                break
            found.append(convert(part))
        return kind(found)


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(name)]
