"""The graph of a saga as a Mermaid flowchart."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from saga_celery.core.plan import Plan, PlannedStep, StepKind
from saga_celery.definition.definitions import Definition

_FRAMES = {
    StepKind.TASK: ("[", "]"),
    StepKind.WAIT: ("[/", "/]"),
    StepKind.SLEEP: ("[/", "/]"),
    StepKind.CHILD: ("[(", ")]"),
}


def graph(definition: Definition) -> str:
    """Draw a saga: steps, what undoes them (dotted), lists (slanted), and the point of no return (double frame).

    Waits and sleeps have a slanted frame, child sagas a cylinder's.

    Args:
        definition: the saga.
    """
    undoing = {
        name: step.compensation.method.function.__name__
        for name, step in definition.steps.items()
        if step.compensation is not None
    }
    lists = {name for name, step in definition.steps.items() if step.action.method.fans_out}
    return drawing(definition.plan, undoing, lists)


def drawing(plan: Plan, undoing: Mapping[str, str], lists: Collection[str] = ()) -> str:
    """Draw a graph.

    Args:
        plan: the graph.
        undoing: what undoes a step, by the step's name.
        lists: names of the steps that are fan-outs.
    """
    return "\n".join(["flowchart TD", *_lines(plan, undoing, lists)]) + "\n"


def _lines(plan: Plan, undoing: Mapping[str, str], lists: Collection[str]) -> Iterator[str]:
    for step in plan.steps:
        yield f"    {_fan_out(step) if step.name in lists else _node(step)}"
        yield from (f"    s_{earlier} --> s_{step.name}" for earlier in step.after)
        if step.name in undoing:
            undo = undoing[step.name].replace('"', "#quot;")
            yield f'    s_{step.name} -. undo .-> c_{step.name}("{undo}")'


def _fan_out(step: PlannedStep) -> str:
    return f's_{step.name}[/"{step.name} (each item)"/]'


def _node(step: PlannedStep) -> str:
    if step.pivot:
        return f's_{step.name}[["{step.name} (pivot)"]]'
    before, after = _FRAMES[step.kind]
    return f's_{step.name}{before}"{step.name}"{after}'
