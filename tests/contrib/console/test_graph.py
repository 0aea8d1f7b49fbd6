"""The graph of a saga's steps as a picture."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from saga_celery import SagaNotFound
from saga_celery.contrib import console
from saga_celery.core.events import AttemptSucceeded
from saga_celery.core.states import Direction, Slot, StepStatus

SVG = "{http://www.w3.org/2000/svg}"


def planned(name: str, *after: str, **more: Any) -> dict[str, Any]:
    nothing = {"kind": "task", "pivot": False, "compensable": False, "status": None, "items": 0, "items_done": 0}
    return {"name": name, "after": after, "look": "idle", "words": "not begun", **nothing, **more}


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own


def boxes(svg: str) -> dict[str, tuple[str, int, int]]:
    """The look and the place of each step."""
    found = {}
    for group in parsed(svg).iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        assert rect is not None
        found[group.attrib["data-step"]] = group.attrib["data-look"], int(rect.attrib["x"]), int(rect.attrib["y"])
    return found


def words(svg: str) -> list[str]:
    return [text.text or "" for text in parsed(svg).iter(f"{SVG}text")]


def test_steps_have_the_colour_of_their_state(shop):
    looks = lambda saga_id: [look for look, _, _ in boxes(console.graph(shop.sagas, saga_id)).values()]  # noqa: E731
    assert looks(shop.start()) == ["idle", "idle"]
    assert looks(shop.completed()) == ["done", "done"]
    assert looks(shop.in_doubt()) == ["done", "wrong"]
    undoing = shop.undoing()
    assert looks(undoing) == ["busy", "wrong"]
    shop.news(undoing, AttemptSucceeded(slot=Slot("charge", 0, Direction.COMPENSATION), attempt=1))
    assert looks(undoing) == ["undone", "wrong"]


def test_compensations_are_shown_as_they_stand(shop):
    told = lambda saga_id: [each for each in words(console.graph(shop.sagas, saga_id)) if "↶" in each]  # noqa: E731
    assert told(shop.completed()) == ["↶ has an undo"]
    assert told(shop.undoing()) == ["↶ undo: under way"]
    assert told(shop.compensated()) == ["↶ undone"]


def test_what_runs_side_by_side_stands_side_by_side():
    plan = [planned("a"), planned("b", "a"), planned("c", "a"), planned("d", "c"), planned("e", "b", "d")]
    place = {name: (x, y) for name, (_, x, y) in boxes(console.draw(plan)).items()}
    columns = sorted({x for x, _ in place.values()})
    rows = sorted({y for _, y in place.values()})
    assert {name: (columns.index(x), rows.index(y)) for name, (x, y) in place.items()} == {
        "a": (0, 0),
        "b": (1, 0),
        "c": (1, 1),
        "d": (2, 1),
        "e": (3, 0),
    }


def test_pivots_kinds_and_lists_are_marked():
    plan = [planned("pay", pivot=True), planned("ask", "pay", kind="wait"), planned("ship", items=5, items_done=2)]
    assert words(console.draw(plan)) == [
        "◆ pay",
        "not begun",
        "ask",
        "wait, not begun",
        "ship",
        "not begun, 2 of 5 done",
    ]


def test_what_others_wrote_is_text_and_nothing_else():
    hostile = "\"'><script>alert(1)</script>\x00\x1b\ud800&amp;"
    svg = console.draw([planned(hostile, words=hostile, compensable=True, status=StepStatus.COMPENSATED)])
    svg.encode()
    root = parsed(svg)
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {"svg", "g", "title", "rect", "path", "text"}
    assert not [name for each in root.iter() for name in each.attrib if name.startswith("on") or "href" in name]
    assert "<script>alert(1)</script>\ufffd\ufffd\ufffd&amp;" in root.attrib["aria-label"]


def test_a_saga_that_is_not_there(shop):
    with pytest.raises(SagaNotFound):
        console.graph(shop.sagas, "no-such")
