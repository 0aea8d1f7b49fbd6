"""One rendering: what a saga's method may know while it builds a message. It is made afresh for each call."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from saga_celery.core.states import SagaState, Slot
from saga_celery.definition.keys import slot_key
from saga_celery.definition.renames import Names
from saga_celery.errors import DefinitionError


@dataclass(slots=True, kw_only=True)
class Rendering:
    """The surroundings of one call."""

    names: Names
    state: SagaState
    slot: Slot | None
    """None while the saga's result is made."""
    fans_out: bool = False
    """A list of messages is being made."""
    keys: set[str] = field(default_factory=set)
    """The keys that the method asked for."""

    @property
    def keyed(self) -> bool:
        """The method asked for its key, so the message is safe to run twice."""
        return bool(self.keys)

    def key(self, item: str | int | None = None) -> str:
        """The idempotency key of the message that is being made, or of this item of a list."""
        if self.slot is None:
            raise DefinitionError(
                f"{self.names.definition.label}.result: there is no message here that a key could be for"
            )
        if item is not None and not isinstance(item, str | int):
            raise DefinitionError(f"{self._label}: self.key({item!r}): say by a text or a number which item is meant")
        if self.fans_out and item is None:
            raise DefinitionError(
                f"{self._label}: self.key() would be the same for all items; say which one is meant: self.key(line.sku)"
            )
        slot = self.slot._replace(item=0) if self.fans_out else self.slot
        found = slot_key(self.state.id, slot, item)
        self.keys.add(found)
        return found

    @property
    def _label(self) -> str:
        return f"{self.names.definition.label}.{self.slot.step}" if self.slot else self.names.definition.label

    def key_of(self, step: str) -> str:
        """The idempotency key of another step's action; a renamed step keeps its key in the sagas that are open."""
        definition = self.names.definition
        today = definition.former.get(step, step)
        if today not in definition.steps:
            close = difflib.get_close_matches(step, definition.steps, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(definition.steps)}"
            raise DefinitionError(f"{definition.label}: key_of({step!r}): no such step; {hint}")
        if definition.steps[today].action.method.fans_out:
            raise DefinitionError(
                f"{definition.label}: key_of({step!r}): it is a fan-out, whose items have keys of their own; pass on "
                "what they returned"
            )
        stored = self.names.stored(today)
        known = self.state.step(stored)
        return slot_key(self.state.id, Slot(stored, generation=known.action.generation if known else 1))
