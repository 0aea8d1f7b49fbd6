"""The lifecycle as Mermaid diagrams, drawn from the tables that the machine obeys.

    python -m saga_celery.core.diagram

prints the blocks that docs/lifecycle.md holds between its markers.
"""

from __future__ import annotations

from collections.abc import Iterable

from saga_celery.core.lifecycle import SAGA_NOTES, STEP_NOTES, saga_edges, step_edges
from saga_celery.core.states import SagaStatus, StepStatus

LAST = (SagaStatus.COMPLETED, SagaStatus.COMPENSATED)


def saga_diagram() -> str:
    """The life of a saga."""
    edges = [f"    {before} --> {after}: {fact}" for before, fact, after in saga_edges()]
    ends = [f"    {status} --> [*]" for status in LAST]
    return _diagram([f"    [*] --> {SagaStatus.PENDING}", *edges, *ends])


def step_diagram() -> str:
    """The life of one step, in both directions. Facts that lead from one status to the same next one share an arrow."""
    arrows: dict[tuple[StepStatus | None, StepStatus], list[str]] = {}
    for before, fact, after in step_edges():
        arrows.setdefault((before, after), []).append(fact)
    lines = [
        f"    {before or '[*]'} --> {after}: {', '.join(facts)}"
        for (before, after), facts in sorted(arrows.items(), key=_row)
    ]
    return _diagram(lines)


def notes() -> str:
    """The facts that are recorded without a change of status, and where they may be."""
    lines = ["| fact | recorded while the saga or the step is |", "|---|---|"]
    for table in (SAGA_NOTES, STEP_NOTES):
        lines += [f"| `{fact.__name__}` | {_names(statuses)} |" for fact, statuses in table.items()]
    return "\n".join(lines)


def blocks() -> dict[str, str]:
    """Every generated block by the name that its markers carry."""
    return {"saga": saga_diagram(), "step": step_diagram(), "notes": notes()}


def _diagram(lines: Iterable[str]) -> str:
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def _row(arrow: tuple[tuple[StepStatus | None, StepStatus], list[str]]) -> tuple[int, int]:
    order = list(StepStatus)
    (before, after), _ = arrow
    return (-1 if before is None else order.index(before), order.index(after))


def _names(statuses: Iterable[SagaStatus | StepStatus]) -> str:
    found = set(statuses)
    known: tuple[SagaStatus | StepStatus, ...] = (*SagaStatus, *StepStatus)
    return ", ".join(status.value for status in known if status in found)


def main() -> None:
    """Print every block."""
    for name, text in blocks().items():
        print(f"<!-- generated: {name} -->\n{text}\n<!-- end: {name} -->\n")


if __name__ == "__main__":
    main()
