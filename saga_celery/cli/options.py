"""What people type as options and arguments, read and checked: types for click. Lengths of time: see `durations`."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Collection, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import click
import sqlalchemy as sa

from saga_celery.app import times
from saga_celery.core.states import SagaStatus


def state(text: str) -> SagaStatus:
    """A state of a saga, in capitals or not: a type for click's options."""
    known = {each.value: each for each in SagaStatus}
    found = known.get(text.upper())
    if found is None:
        hint = did_you_mean(text.upper(), known) or f"known are: {', '.join(known)}"
        raise click.BadParameter(f"no state is called {text!r}; {hint}")
    return found


def tag(text: str) -> tuple[str, str]:
    """A tag `name=value`: a type for click's options."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text!r} is no tag; write name=value")
    return name, value


def moment(text: str) -> datetime:
    """A time with its zone: a type for click's options."""
    try:
        return times.moment(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def refuse_rival_tags(tags: Collection[tuple[str, str]]) -> None:
    """Refuse a filter that no saga can fit.

    Raises:
        UsageError: two values of one tag are asked for.
    """
    if len(dict(tags)) < len(set(tags)):
        raise click.UsageError("a saga has one value for each tag; --tag asks for two of the same")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, or nothing when no name is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else ""


# ---------------------------------------------------------------------------------------------------------------- JSON


def json_value(text: str) -> Any:
    """JSON as text, in a file (`@order.json`), or from standard input (`-`): a type for click's options."""
    source, body = _read(text)
    try:
        return json.loads(body, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"{source} is no JSON: {error}") from None


def _read(text: str) -> tuple[str, str]:
    try:
        if text == "-":
            return "standard input", sys.stdin.read()
        if text.startswith("@"):
            return text[1:], Path(text[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"can not read {text.lstrip('@')}: {error}") from None
    return "it", text


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


# ------------------------------------------------------------------------------------------------------------ database


def database(text: str) -> sa.URL:
    """The URL of a database whose driver is installed: a type for click's options."""
    try:
        url = sa.make_url(text)
        url.get_dialect().import_dbapi()
    except sa.exc.NoSuchModuleError:
        raise click.BadParameter("SQLAlchemy knows no such database or driver") from None
    except (sa.exc.ArgumentError, ValueError):
        raise click.BadParameter("it is no URL such as postgresql+psycopg://user@host/name") from None
    except ImportError as error:
        raise click.BadParameter(f"its driver is not installed here: {error}") from None
    if url.get_backend_name() not in ("postgresql", "mysql", "mariadb", "sqlite"):
        raise click.BadParameter(f"{url.get_backend_name()} is none of PostgreSQL, MariaDB and SQLite")
    return url
