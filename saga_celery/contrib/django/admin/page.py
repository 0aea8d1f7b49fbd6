"""The page of a saga: what `console.saga` tells of it, made ready for a template."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.safestring import mark_safe

from saga_celery.app import SagaApp
from saga_celery.app.reading.durations import spoken
from saga_celery.contrib import console
from saga_celery.contrib.django.admin.forms import Form, form_for
from saga_celery.core.states import StepStatus

Record = Mapping[str, Any]

MOST_SHOWN = 20_000
"""Characters of a value that are shown."""


def page_of(app: SagaApp, saga_id: str) -> dict[str, Any]:
    """What the template shows.

    Args:
        app: where the saga is.
        saga_id: its id.

    Raises:
        SagaNotFound: there is none.
    """
    record = console.saga(app, saga_id)
    return {
        "record": record,
        "graph": mark_safe(console.draw(record["plan"])),  # noqa: S308 - all text in it is escaped there
        "facts": list(_facts(record)),
        "steps": [_step(step) for step in record["steps"]],
        "waits": [_wait(wait) for wait in record["awaited"]],
        "history": [{**entry, "at": _moment(entry["at"])} for entry in reversed(record["history"])],
    }


def actions(record: Record, refused: Form | None = None) -> list[dict[str, Any]]:
    """What can be asked of the saga now, each with its form, the likeliest first.

    Args:
        record: what `console.saga` returned.
        refused: a form to show again, even where the saga would not take it any more.
    """
    asked = None if refused is None else (refused.data.get("verb", ""), refused.data.get("step", ""))
    moves = list(dict.fromkeys((move["verb"], move["step"]) for move in record["moves"]))
    if asked is not None and asked not in moves:
        moves.insert(0, asked)
    return [
        {
            "title": f"{verb.capitalize()} {step}".strip(),
            "form": refused if (verb, step) == asked else form_for(verb, step, record["version"]),
            "is_open": (verb, step) == asked,
        }
        for verb, step in moves
    ]


# --------------------------------------------------------------------------------------------------------------- facts


def _facts(record: Record) -> Iterator[tuple[str, Any]]:
    """Titles and values; what does not apply is left out."""
    told = (
        ("id", record["id"]),
        ("key", record["key"]),
        ("tags", ", ".join(f"{name}={value}" for name, value in record["tags"].items())),
        ("version", record["version"]),
        ("lock", record["lock"]),
        ("started", _moment(record["created_at"])),
        ("moved", _moment(record["updated_at"])),
        ("ended", _moment(record["ended_at"])),
        ("deadline", _moment(record["deadline_at"])),
        ("suspended", _suspended(record["suspension"])),
        ("cause", record["because"]),
    )
    return ((title, value) for title, value in told if value not in (None, ""))


def _suspended(suspension: Record | None) -> str:
    return "" if suspension is None else f"by {suspension['actor']}: {suspension['reason']}"


def shown(value: Any) -> str:
    """A value as JSON, for people; nothing for None."""
    if value is None:
        return ""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


# --------------------------------------------------------------------------------------------------------------- steps


def _step(step: Record) -> dict[str, Any]:
    began, settled = _moment(step["began_at"]), _moment(step["settled_at"])
    return {
        "label": step["label"],
        "look": console.look(StepStatus(step["status"])),
        "words": step["words"],
        "attempts": ", ".join(_attempts(step)),
        "began": began,
        "took": spoken((settled - began).total_seconds()) if began and settled else "",
        "result": shown(step["result"]),
        "errors": list(_errors(step)),
        "waits_for": step["waits_for"] and (step["waits_for"]["event"] or step["waits_for"]["what"]),
        "until": step["waits_for"] and _moment(step["waits_for"]["until"]),
    }


def _activities(step: Record) -> Sequence[tuple[str, Record]]:
    found = (("", step["action"]), ("undo ", step["compensation"]), ("probe ", step["probe"]))
    return [(what, each) for what, each in found if each is not None]


def _attempts(step: Record) -> Iterator[str]:
    return (f"{what}{each['used']}/{each['allowed']}" for what, each in _activities(step) if each["attempt"])


def _errors(step: Record) -> Iterator[str]:
    for what, each in _activities(step):
        if each["error"]:
            yield f"{what}{each['error']['type']}: {each['error']['message']}"


def _wait(wait: Record) -> dict[str, Any]:
    what = f"{wait['direction']} of {wait['step']}" if wait["step"] else wait["news"] or "the saga"
    return {
        "what": what if not wait["item"] else f"{what}[{wait['item']}]",
        "awaited": wait["awaited"],
        "due": _moment(wait["due_at"]),
        "worker": wait["worker"] or "",
        "resends": wait["resends"],
    }


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
