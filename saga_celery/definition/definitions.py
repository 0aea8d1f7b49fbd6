"""A definition: what a saga class was compiled to. It is made once, at import, and never changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from saga_celery.core.plan import Plan
from saga_celery.core.states import Direction
from saga_celery.definition.options import Options
from saga_celery.definition.shapes import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method of the class that is called with the input and with results."""

    label: str
    """Class and method, for messages."""
    function: Callable[..., Any]
    input: Shape
    takes: Mapping[str, Shape]
    """Names of steps, and the types to which their results are decoded."""
    returns: Shape | None = None
    """X of `Signature[X]`."""
    may_skip: bool = False
    fans_out: bool = False
    """It returns a list; `returns` is the type of what one item returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """The method behind `@step.found`."""

    label: str
    function: Callable[..., Any]
    input: Shape
    answer: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """A method that renders a message, and how its attempts are treated."""

    method: Method
    options: Options


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDefinition:
    """One step with all that hangs on it."""

    name: str
    action: Activity
    compensation: Activity | None = None
    probe: Activity | None = None
    judge: Judge | None = None

    def activity(self, direction: Direction) -> Activity | None:
        """What is rendered for a direction; None where the step has no such method."""
        return {
            Direction.ACTION: self.action,
            Direction.COMPENSATION: self.compensation,
            Direction.PROBE: self.probe,
        }[direction]

    @property
    def result(self) -> Shape:
        """The type of the step's result; of a fan-out that of one item."""
        assert self.action.method.returns is not None  # noqa: S101 - every action has one, the compiler saw to it
        return self.action.method.returns


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A whole saga."""

    name: str
    label: str
    """Name of the class, for messages."""
    input: Shape
    result: Shape
    plan: Plan
    steps: Mapping[str, StepDefinition]
    result_method: Method | None = None
    timeout: float | None = None
    """Seconds that the whole saga may take."""
    undo_window: float | None = None
    """Seconds after its end within which an operator may have the completed saga undone; None: not at all."""
    retention: float | None = None
    """Seconds after its end for which a saga is kept; None: as long as the settings say."""
    max_running: int | None = None
    """How many may be under way at once."""
    run_on: bool | None = None
    """Whether its steps may run on, where they do not say so themselves."""
    former: Mapping[str, str] = field(default_factory=dict)
    """Names that steps had before -> their names of today."""
    former_names: tuple[str, ...] = ()
    """Names that the saga had before."""
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Event -> names of the tasks that are told of it."""
