"""Commands of an operator, as they are named in pages and messages, to be pasted."""

from __future__ import annotations

import shlex

from saga_celery.core.moves import Move

OPEN = "…"
"""Stands where a person has to write something; left as it is, the command is refused."""


def command(move: Move, saga_id: str, step: str) -> str:
    """The command for a move, without the program's own name.

    Args:
        move: the verb, and what goes with it.
        saga_id: the saga.
        step: the step as people name it; empty: the saga's result.
    """
    options = [
        *(["--step", shlex.quote(step)] if step and move.verb != "cancel" else []),
        *(["--as", move.resolution] if move.resolution else []),
        *(["--result", f"'{OPEN}'"] if move.result else []),
    ]
    return " ".join([move.verb, saga_id, *options, f"--reason '{OPEN}'"])


def is_open(text: str) -> bool:
    """Tell whether nobody has written anything."""
    return not text.strip().strip(OPEN)
