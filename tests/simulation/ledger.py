"""What really happened: the participants' own books, kept apart from everything that the product believes.

A keyed participant runs an activity once per key and answers a repetition with what it answered before. One without
keys does what it is told as often as it is told; telling it twice is what the checker catches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Key = tuple[Any, ...]


class Violation(BaseException):
    """The product broke a promise. No `except Exception` of the product may swallow it."""


@dataclass
class Effect:
    """Something that an action did to the world."""

    id: str
    saga: str
    step: str
    attempt: int
    at: float
    awaited: bool
    """The saga still waited for the action when it happened."""
    undone: bool = False
    told: bool = False
    """Somebody managed to report it."""
    generation: int = 1
    """Of the action that had it."""
    rivals: int = 0
    """Other copies of the same message that were run."""


@dataclass
class Ledger:
    """The books of all participants."""

    effects: list[Effect] = field(default_factory=list)
    undone: list[Effect] = field(default_factory=list)
    """In the order in which it was undone."""
    answers: dict[Key, Any] = field(default_factory=dict)
    """What a keyed participant answered for good."""
    arguments: dict[Key, Any] = field(default_factory=dict)
    barred: dict[tuple[str, str, int], int] = field(default_factory=dict)
    """(saga, step, generation) -> the latest attempt that a probe ruled out."""
    runs: dict[Key, int] = field(default_factory=dict)
    """(saga, slot, attempt) -> how many copies were run."""

    def of(self, saga: str, step: str, generation: int | None = None) -> Iterator[Effect]:
        """The effects of a step, or of one generation of it."""
        return (
            effect
            for effect in self.effects
            if (effect.saga, effect.step) == (saga, step) and generation in (None, effect.generation)
        )

    def standing(self, saga: str, step: str) -> list[Effect]:
        return [effect for effect in self.of(saga, step) if not effect.undone]

    def called(self, key: Key, arguments: Any) -> None:
        """One key means one thing: the same task with the same arguments, however often it is sent."""
        if self.arguments.setdefault(key, arguments) != arguments:
            raise Violation(f"I10: key {key} carries {arguments} after {self.arguments[key]}")

    def act(self, saga: str, step: str, generation: int, attempt: int, now: float, *, awaited: bool) -> Effect:
        name = f"{saga}/{step}#{len(self.effects)}"
        effect = Effect(name, saga, step, attempt, now, awaited, generation=generation)
        self.effects.append(effect)
        return effect

    def undo(self, saga: str, step: str, generation: int, result: Any, *, tolerant: bool) -> None:
        """Undo the effect that a result names, or whatever stands where there is no result.

        Args:
            tolerant: the compensation is declared to be harmless where there is nothing to undo.
        """
        found = [effect for effect in self.of(saga, step, generation) if result is None or effect.id == result]
        standing = [effect for effect in found if not effect.undone]
        if not standing and not tolerant:
            raise Violation(f"{'I5: undone twice' if found else 'I6: undone without an effect'}: {saga}/{step}")
        for effect in standing:
            effect.undone = True
            self.undone.append(effect)
