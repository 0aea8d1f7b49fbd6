"""What a browser asks for in a query string, read and checked."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from saga_celery.app import times
from saga_celery.core.states import SagaStatus
from saga_celery.errors import InputRejected

PAGE = 50
MOST = 200
KNOWN = ("name", "state", "tag", "search", "stuck", "suspended", "since", "until", "limit", "after")

Moment = datetime | timedelta
"""A time, or how long ago it was."""

_BETWEEN_TAGS = re.compile(r",(?=[^,=]+=)")
"""A comma behind which another name begins; any other one belongs to the value before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which sagas, and how many of them."""

    name: str | None = None
    status: SagaStatus | None = None
    tags: Mapping[str, str]
    search: str | None = None
    """An id or the beginning of one, or a key."""
    stuck: bool = False
    suspended: bool = False
    since: Moment | None = None
    until: Moment | None = None
    limit: int = PAGE
    after: str | None = None
    """Id of the last saga of the page before."""

    @property
    def is_narrow(self) -> bool:
        """Something was said about which sagas; into what pages they are parted does not count."""
        return replace(self, limit=PAGE, after=None) != Wanted(tags={})


def wanted(parameters: Mapping[str, str]) -> Wanted:
    """Read them; an empty one counts as left out.

    Raises:
        InputRejected: one is unknown, or has a value that can not be.
    """
    given = {name: value for name, value in parameters.items() if value}
    for name in given:
        if name not in KNOWN:
            raise InputRejected(f"there is no parameter {name!r}; known are: {', '.join(KNOWN)}")
    return Wanted(
        name=given.get("name"),
        status=_status(given.get("state")),
        tags=_tags(given.get("tag")),
        search=given.get("search"),
        stuck=_flag("stuck", given.get("stuck")),
        suspended=_flag("suspended", given.get("suspended")),
        since=_moment("since", given.get("since")),
        until=_moment("until", given.get("until")),
        limit=_limit(given.get("limit")),
        after=given.get("after"),
    )


def _status(text: str | None) -> SagaStatus | None:
    if text is None:
        return None
    try:
        return SagaStatus(text.upper())
    except ValueError:
        close = difflib.get_close_matches(text.upper(), list(SagaStatus), n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are: {', '.join(SagaStatus)}"
        raise InputRejected(f"no state is called {text!r}; {hint}") from None


def _tags(text: str | None) -> Mapping[str, str]:
    """`customer=7`, or several: `customer=7,country=gb`."""
    found: dict[str, str] = {}
    for each in _BETWEEN_TAGS.split(text) if text else ():
        name, equals, value = each.partition("=")
        if not (name and equals):
            raise InputRejected(f"{each!r} is no tag; write name=value, of several name=value,name=value")
        if found.setdefault(name, value) != value:
            raise InputRejected(f"a saga has one value for each tag; two of {name!r} are asked for")
    return found


def _moment(name: str, text: str | None) -> Moment | None:
    if text is None:
        return None
    try:
        return times.moment(text) if "-" in text else times.length(text)
    except (ValueError, OverflowError) as error:
        raise InputRejected(f"{name}: {error}; or 2030-01-31T06:00Z") from None


def _flag(name: str, text: str | None) -> bool:
    if text not in (None, "0", "1"):
        raise InputRejected(f"{name}={text!r}; write 1 or 0")
    return text == "1"


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise InputRejected(f"limit={text!r}; write a number from 1 to {MOST}")
    return int(text)
