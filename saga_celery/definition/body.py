"""The body of a saga class while it is executed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saga_celery.definition.steps import Compensation, Finder, Probe, Step
from saga_celery.errors import DefinitionError

PARTS = (Step, Compensation, Probe, Finder)
"""What the decorators of this package leave in a class body."""


class Body(dict[str, Any]):
    """The names of the class so far. A step that is overwritten would be lost without a word, so that is refused.

    Args:
        saga: name of the class.
        scope: the local names around it.
    """

    def __init__(self, saga: str, scope: Mapping[str, Any]) -> None:
        super().__init__()
        self.saga = saga
        self.scope = scope

    def __setitem__(self, name: str, value: Any) -> None:
        if isinstance(self.get(name), PARTS):
            raise DefinitionError(
                f"{self.saga}.{name}: written twice; a step, its compensation and its probe each need their own name"
            )
        super().__setitem__(name, value)
