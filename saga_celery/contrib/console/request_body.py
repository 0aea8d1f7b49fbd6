"""What a browser sends with an action, checked before anything is read of it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from saga_celery.errors import InputRejected, Refused


def check_body(verb: str, body: Any, fields: Sequence[str], *, actor: str) -> None:
    """Refuse what is no JSON object of known fields, and who has no name.

    Args:
        verb: the action.
        body: what is sent.
        fields: names that it may have.
        actor: who asks.

    Raises:
        InputRejected: it is no object, or has another field; names the likeliest one.
        Refused: nobody is named.
    """
    if not isinstance(body, Mapping):
        raise InputRejected("what is sent is no JSON object")
    for name in body:
        if name not in fields:
            close = difflib.get_close_matches(str(name), fields, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(fields)}"
            raise InputRejected(f"{verb}: there is no field {name!r}; {hint}")
    if not actor.strip():
        raise Refused(f"{verb}: nobody is named who asks for it")
