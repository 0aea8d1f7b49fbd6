"""The script of a chain: what is stored with the saga, as its input, so that any worker can go on with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from saga_celery.core.states import Message
from saga_celery.definition.options import Options
from saga_celery.store.codec import from_json, to_json


class Takes(StrEnum):
    """What comes in front of the stored arguments."""

    NOTHING = "nothing"
    RESULT = "result"
    """Of an action: the result of the step in front. Of a compensation: the result of its own action."""
    RESULTS = "results"
    """The list of the results of the group in front."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedMessage:
    """One message, as far as it is known before results are."""

    message: Message
    takes: Takes = Takes.NOTHING
    key_argument: str = ""
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedStep:
    """An action and what undoes it."""

    action: ScriptedMessage
    compensation: ScriptedMessage | None = None


def script_to_json(steps: Mapping[str, ScriptedStep], result: Takes) -> dict[str, Any]:
    """A script as plain JSON.

    Args:
        steps: by their names.
        result: whether the saga's result is the last step's, or a list of the last group's.
    """
    return {"steps": {name: to_json(step) for name, step in steps.items()}, "result": result.value}


def step_of(script: Any, name: str) -> ScriptedStep:
    """Read one step; the others, of which there may be many, are left as they are."""
    step: ScriptedStep = from_json(ScriptedStep, script["steps"][name])
    return step


def undoing_of(script: Any) -> dict[str, str]:
    """The task that undoes a step, by the step's name."""
    steps = {name: step_of(script, name) for name in script["steps"]}
    return {name: step.compensation.message.task for name, step in steps.items() if step.compensation is not None}


def result_of(script: Any) -> Takes:
    """Read what the result of the saga is."""
    return Takes(script["result"])
