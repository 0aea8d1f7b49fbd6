"""The steps of a saga as a picture: an SVG without script, style sheet or anything from elsewhere.

It brings its own light boxes with dark text along, so it can be read on a light page and on a dark one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from saga_celery.app import SagaApp
from saga_celery.contrib.console.plan_record import plan_record
from saga_celery.core.states import StepStatus
from saga_celery.errors import SagaNotFound

GRAPH_TYPE = "image/svg+xml; charset=utf-8"

Planned = Mapping[str, Any]
"""One entry of `plan_record`."""

BOX, HEIGHT = 172, 48
COLUMN, ROW = BOX + 30, HEIGHT + 36
MARGIN = 6
NAME_WIDTH, WORDS_WIDTH = 18, 25
"""Characters that fit into a box."""

INK, QUIET, LINE = "#1b1b1b", "#4a4a4a", "#868686"
_COLOURS = {  # what fills a box, and what goes round it
    "done": ("#d9f2dc", "#2e7d32"),
    "undone": ("#e4dff3", "#5b4a94"),
    "wrong": ("#fbdada", "#c62828"),
    "busy": ("#ffedc9", "#b26a00"),
    "idle": ("#eceff1", "#78909c"),
}
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
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML document may hold, not even escaped."""


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


def graph(app: SagaApp, saga_id: str) -> str:
    """The graph of a saga as it stands.

    Args:
        app: where it is.
        saga_id: its id.

    Returns:
        An SVG document.

    Raises:
        SagaNotFound: there is none.
    """
    app.check_schema()
    state = app.store.load(saga_id)
    if state is None:
        raise SagaNotFound(f"no saga has the id {saga_id!r}")
    return draw(plan_record(app.store.plan(state.plan_hash), state))


def draw(plan: Sequence[Planned]) -> str:
    """The steps from left to right, each in the colour of its state; what runs side by side stands one below the other.

    Args:
        plan: what `plan_record` made, or the `plan` of what `console.saga` returns.

    Returns:
        An SVG document; all text in it is escaped.
    """
    places = _places(plan)
    width = max((place.left + BOX for place in places.values()), default=0) + MARGIN
    height = max((place.top + ROW for place in places.values()), default=0) + MARGIN
    content = "".join([*_arrows(plan, places), *(_step(step, places[step["name"]]) for step in plan)])
    return _tag(
        "svg",
        content,
        xmlns="http://www.w3.org/2000/svg",
        width=width,
        height=height,
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label="the steps of the saga: " + ", ".join(f"{step['name']} {step['words']}" for step in plan),
        font_family="system-ui, sans-serif",
    )


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


def _arrows(plan: Sequence[Planned], places: Mapping[str, _Place]) -> Iterator[str]:
    for step in plan:
        for name in step["after"]:
            yield _arrow(places[name], places[step["name"]])


def _arrow(start: _Place, end: _Place) -> str:
    """Bent in the last gap before its end, where no box is in the way."""
    x, y = start.left + BOX, start.top + HEIGHT // 2
    to_x, to_y = end.left, end.top + HEIGHT // 2
    bend = to_x - (COLUMN - BOX) // 2
    line = f"M{x} {y}H{bend}V{to_y}H{to_x - 7}" if y != to_y else f"M{x} {y}H{to_x - 7}"
    return _tag("path", d=line, fill="none", stroke=LINE, stroke_width=1.5) + _tag(
        "path", d=f"M{to_x - 8} {to_y - 4}L{to_x} {to_y}L{to_x - 8} {to_y + 4}Z", fill=LINE
    )


# --------------------------------------------------------------------------------------------------------------- boxes


def _step(step: Planned, place: _Place) -> str:
    fill, edge = _COLOURS[step["look"]]
    name = ("◆ " if step["pivot"] else "") + step["name"]
    told = f"{step['name']}: {_words(step)}" + (" (the point of no return)" if step["pivot"] else "")
    parts = [
        _tag("title", _text(told)),
        _tag(
            "rect",
            x=place.left,
            y=place.top,
            width=BOX,
            height=HEIGHT,
            rx=6 if step["kind"] == "task" else 20,
            fill=fill,
            stroke=edge,
            stroke_width=3 if step["pivot"] else 1.5,
        ),
        _label(_short(name, NAME_WIDTH), place.left + 12, place.top + 20, 13.5, INK, font_weight=600),
        _label(_short(_words(step), WORDS_WIDTH), place.left + 12, place.top + 37, 11, QUIET),
        _undo(step, place) if step["compensable"] else "",
    ]
    return _tag("g", "".join(parts), data_step=step["name"], data_look=step["look"])


def _words(step: Planned) -> str:
    items = f", {step['items_done']} of {step['items']} done" if step["items"] else ""
    return f"{_KINDS.get(step['kind'], '')}{step['words']}{items}"


def _undo(step: Planned, place: _Place) -> str:
    """The compensation, hung below its step."""
    look, words = _UNDOING.get(step["status"], ("idle", "has an undo"))
    fill, edge = _COLOURS[look]
    left, top = place.left + 12, place.top + HEIGHT
    shape = _tag(
        "path", d=f"M{left} {top}v14q0 4 4 4h96q4 0 4 -4v-14Z", fill=fill, stroke=edge, stroke_dasharray=_dashes(look)
    )
    return shape + _label(f"↶ {words}", left + 7, top + 13, 10.5, INK)


def _dashes(look: str) -> str:
    """Nobody asked for it so far."""
    return "3 2" if look == "idle" else "none"


# ----------------------------------------------------------------------------------------------------------------- XML


def _label(text: str, x: int, y: int, size: float, colour: str, **more: Any) -> str:
    return _tag("text", _text(text), x=x, y=y, font_size=size, fill=colour, **more)


def _tag(tag: str, content: str = "", **attributes: Any) -> str:
    """An element; its content is markup already, its attributes are not."""
    written = "".join(f' {_attribute(name)}="{_text(value)}"' for name, value in attributes.items())
    return f"<{tag}{written}>{content}</{tag}>"


def _attribute(name: str) -> str:
    return name if name == "viewBox" else name.replace("_", "-")


def _text(value: object) -> str:
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", str(value)), quote=True)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
