"""Who stands before the barrier: the address of a delivered message, and how late it may come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from saga_celery.core.states import Direction, Slot
from saga_celery.store.barrier.table import SAGA_ID, STEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One delivery of a message, as the barrier sees it."""

    saga_id: str
    slot: Slot
    attempt: int = 1
    not_after: datetime | None = None
    """Aware. Later than this, by the participant's database, an action is refused."""
    action_generation: int | None = None
    """Generation of the action that this compensation or probe is about; None: the slot's own."""
    action_attempt: int | None = None
    """The latest attempt of the action that this probe is about; None: whichever may ever come."""

    def __post_init__(self) -> None:
        """MariaDB's INSERT IGNORE would cut a name that is too long, and take two slots for one."""
        if not 0 < len(self.saga_id) <= SAGA_ID or not 0 < len(self.slot.step) <= STEP:
            raise ValueError(f"a saga id has 1 to {SAGA_ID} letters, a step's name 1 to {STEP}: {self!r}")

    @property
    def action(self) -> Slot:
        """The action's slot."""
        generation = self.slot.generation if self.action_generation is None else self.action_generation
        if self.slot.direction is Direction.ACTION:
            return self.slot
        return self.slot._replace(direction=Direction.ACTION, generation=generation)
