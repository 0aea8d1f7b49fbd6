"""Where the steps of a saga stand in a picture: boxes from left to right, with arrows between them.

Whatever draws it, the page in a browser or an SVG document, reads this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from saga_celery.core.states import StepStatus

Planned = Mapping[str, Any]
"""One entry of `plan_record`."""

BOX, HEIGHT = 172, 48
COLUMN, ROW = BOX + 30, HEIGHT + 36
MARGIN = 6
HUNG = 19
"""Height of a compensation, below its step."""
NAME_WIDTH, WORDS_WIDTH = 18, 25
"""Characters that fit into a box."""

_UNDOING = {
    StepStatus.COMPENSATION_SCHEDULED: ("busy", "undo: next"),
    StepStatus.COMPENSATING: ("busy", "undo: under way"),
    StepStatus.COMPENSATION_BACKING_OFF: ("busy", "undo: rests"),
    StepStatus.COMPENSATED: ("undone", "undone"),
    StepStatus.COMPENSATION_SKIPPED: ("undone", "undo: skipped"),
    StepStatus.COMPENSATION_EXHAUSTED: ("wrong", "undo: failed"),
    StepStatus.COMPENSATION_IN_DOUBT: ("wrong", "undo: in doubt"),
}
_KINDS = {"wait": "wait, ", "sleep": "sleep, ", "child": "child saga, "}


@dataclass(frozen=True, slots=True)
class _Place:
    column: int
    row: int

    @property
    def left(self) -> int:
        return MARGIN + self.column * COLUMN

    @property
    def top(self) -> int:
        return MARGIN + self.row * ROW


def layout(plan: Sequence[Planned]) -> dict[str, Any]:
    """The steps from left to right; what runs side by side stands one below the other.

    Args:
        plan: what `plan_record` made, or the `plan` of what `console.saga` returns.

    Returns:
        `width` and `height` of the whole, those of a `box`, the `boxes` and the `arrows`, with paths as SVG writes
        them. Texts are not escaped.
    """
    places = _places(plan)
    return {
        "width": max((place.left + BOX for place in places.values()), default=0) + MARGIN,
        "height": max((place.top + HEIGHT + HUNG for place in places.values()), default=0) + MARGIN,
        "box": {"width": BOX, "height": HEIGHT},
        "boxes": [_box(step, places[step["name"]]) for step in plan],
        "arrows": list(_arrows(plan, places)),
    }


# -------------------------------------------------------------------------------------------------------------- places


def _places(plan: Sequence[Planned]) -> dict[str, _Place]:
    """Behind everything that it waits for, in the row of the first of these unless somebody is there already."""
    found: dict[str, _Place] = {}
    taken: set[_Place] = set()
    for step in plan:
        before = [found[name] for name in step["after"]]
        place = _Place(max((each.column for each in before), default=-1) + 1, min((e.row for e in before), default=0))
        while place in taken:
            place = _Place(place.column, place.row + 1)
        taken.add(place)
        found[step["name"]] = place
    return found


def _arrows(plan: Sequence[Planned], places: Mapping[str, _Place]) -> Iterator[dict[str, str]]:
    for step in plan:
        for name in step["after"]:
            yield _arrow(places[name], places[step["name"]])


def _arrow(start: _Place, end: _Place) -> dict[str, str]:
    """Bent in the last gap before its end, where no box is in the way."""
    x, y = start.left + BOX, start.top + HEIGHT // 2
    to_x, to_y = end.left, end.top + HEIGHT // 2
    bend = to_x - (COLUMN - BOX) // 2
    line = f"M{x} {y}H{bend}V{to_y}H{to_x - 7}" if y != to_y else f"M{x} {y}H{to_x - 7}"
    return {"line": line, "head": f"M{to_x - 8} {to_y - 4}L{to_x} {to_y}L{to_x - 8} {to_y + 4}Z"}


# --------------------------------------------------------------------------------------------------------------- boxes


def _box(step: Planned, place: _Place) -> dict[str, Any]:
    return {
        "name": step["name"],
        "left": place.left,
        "top": place.top,
        "told": f"{step['name']}: {_words(step)}" + (" (the point of no return)" if step["pivot"] else ""),
        "name_short": _short(("◆ " if step["pivot"] else "") + step["name"], NAME_WIDTH),
        "words_short": _short(_words(step), WORDS_WIDTH),
        "undo": _undo(step, place) if step["compensable"] else None,
    }


def _words(step: Planned) -> str:
    items = f", {step['items_done']} of {step['items']} done" if step["items"] else ""
    return f"{_KINDS.get(step['kind'], '')}{step['words']}{items}"


def _undo(step: Planned, place: _Place) -> dict[str, str]:
    """The compensation, hung below its step."""
    look, words = _UNDOING.get(step["status"], ("idle", "has an undo"))
    left, top = place.left + 12, place.top + HEIGHT
    return {"look": look, "words": f"↶ {words}", "shape": f"M{left} {top}v14q0 4 4 4h96q4 0 4 -4v-14Z"}


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
