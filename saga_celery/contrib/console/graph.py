"""The steps of a saga as a picture: an SVG without script, style sheet or anything from elsewhere.

It brings its own light boxes with dark text along, so it can be read on a light page and on a dark one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from saga_celery.app import SagaApp
from saga_celery.contrib.console.layout import BOX, HEIGHT, Planned, layout
from saga_celery.contrib.console.plan_record import plan_record
from saga_celery.errors import SagaNotFound

GRAPH_TYPE = "image/svg+xml; charset=utf-8"

INK, QUIET, LINE = "#1b1b1b", "#4a4a4a", "#868686"
_COLOURS = {  # what fills a box, and what goes round it
    "done": ("#d9f2dc", "#2e7d32"),
    "undone": ("#e4dff3", "#5b4a94"),
    "wrong": ("#fbdada", "#c62828"),
    "busy": ("#ffedc9", "#b26a00"),
    "idle": ("#eceff1", "#78909c"),
}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML document may hold, not even escaped."""


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
    found = layout(plan)
    arrows = [_arrow(each) for each in found["arrows"]]
    return _tag(
        "svg",
        "".join([*arrows, *(_step(step, box) for step, box in zip(plan, found["boxes"], strict=True))]),
        xmlns="http://www.w3.org/2000/svg",
        width=found["width"],
        height=found["height"],
        viewBox=f"0 0 {found['width']} {found['height']}",
        role="img",
        aria_label="the steps of the saga: " + ", ".join(f"{step['name']} {step['words']}" for step in plan),
        font_family="system-ui, sans-serif",
    )


def _arrow(arrow: dict[str, str]) -> str:
    line = _tag("path", d=arrow["line"], fill="none", stroke=LINE, stroke_width=1.5)
    return line + _tag("path", d=arrow["head"], fill=LINE)


def _step(step: Planned, box: dict[str, Any]) -> str:
    fill, edge = _COLOURS[step["look"]]
    left, top = box["left"], box["top"]
    parts = [
        _tag("title", _text(box["told"])),
        _tag(
            "rect",
            x=left,
            y=top,
            width=BOX,
            height=HEIGHT,
            rx=6 if step["kind"] == "task" else 20,
            fill=fill,
            stroke=edge,
            stroke_width=3 if step["pivot"] else 1.5,
        ),
        _label(box["name_short"], left + 12, top + 20, 13.5, INK, font_weight=600),
        _label(box["words_short"], left + 12, top + 37, 11, QUIET),
        _undo(box["undo"], left + 19, top + HEIGHT + 13) if box["undo"] else "",
    ]
    return _tag("g", "".join(parts), data_step=step["name"], data_look=step["look"])


def _undo(undo: dict[str, str], x: int, y: int) -> str:
    fill, edge = _COLOURS[undo["look"]]
    dashes = "3 2" if undo["look"] == "idle" else "none"  # nobody asked for it so far
    shape = _tag("path", d=undo["shape"], fill=fill, stroke=edge, stroke_dasharray=dashes)
    return shape + _label(undo["words"], x, y, 10.5, INK)


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
