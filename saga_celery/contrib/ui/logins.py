"""Who may come in: names and passwords, as somebody typed them or wrote them down."""

from __future__ import annotations

import os
from collections.abc import Iterable
from hmac import compare_digest
from pathlib import Path

import click

VARIABLE = "SAGA_UI_BASIC_AUTH"
"""Of the environment: one a line, as in a file."""


class Logins:
    """People and their passwords. Nothing here shows a password, not even an error.

    Args:
        lines: `USER:PASSWORD` each.

    Raises:
        ValueError: one of them is no such thing, or there are two for one user.
    """

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self._credentials: dict[str, bytes] = {}
        for line in lines:
            name = _name_of(line)
            if name in self._credentials:
                raise ValueError(f"there are two passwords for {name!r}")
            self._credentials[name] = line.encode("utf-8", "surrogateescape")

    def __bool__(self) -> bool:
        return bool(self._credentials)

    @property
    def names(self) -> tuple[str, ...]:
        """Who may come in."""
        return tuple(self._credentials)

    def who(self, name: str, password: str) -> str | None:
        """The name of whom these credentials belong to; None: nobody. How long it takes tells nothing of a password.

        Args:
            name: as it was sent.
            password: the same.
        """
        given = f"{name}:{password}".encode()
        fitting = [each for each, known in self._credentials.items() if compare_digest(known, given)]
        return fitting[0] if fitting else None


def logins(given: Iterable[str]) -> Logins:
    """Those of the command line; where it names none, those of the environment.

    Args:
        given: `USER:PASSWORD`, or `@file` with one a line.

    Raises:
        BadParameter: one is no such thing, or a file can not be read. It leaves the password out.
    """
    texts = tuple(given) or os.environ.get(VARIABLE, "").splitlines()
    try:
        found = Logins(line for text in texts for line in _lines(text))
        if texts and not found:  # an empty variable of a shell must not open the door
            raise ValueError("nobody is named; write USER:PASSWORD, or leave it out")
        return found
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=f"--basic-auth ({VARIABLE})") from None


def _lines(text: str) -> Iterable[str]:
    """Without empty ones and comments."""
    if not text.startswith("@"):
        return [text] if text.strip() else []
    try:
        lines = Path(text[1:]).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{text[1:]} is not written in UTF-8") from None
    except OSError as error:
        raise ValueError(f"can not read {text[1:]}: {error.strerror}") from None
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _name_of(line: str) -> str:
    name, colon, password = line.partition(":")
    if not (colon and name and password):
        raise ValueError("write USER:PASSWORD, or @file with one a line; what was given is not repeated here")
    if name != name.strip() or not name.isprintable():
        raise ValueError("a user's name has no space at its ends and no control characters")
    return name
