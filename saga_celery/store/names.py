"""What may be stored as a name: the three databases must take it for the same text, and for no other."""

from __future__ import annotations

from saga_celery.errors import InputRejected
from saga_celery.store.codec import storable
from saga_celery.store.columns import NAME


def check_name(what: str, text: str, most: int = NAME) -> None:
    """Refuse a text that one of the databases would change, cut off, or not tell from another.

    Args:
        what: what it is, for whoever reads the refusal.
        text: the text.
        most: characters that its column holds.

    Raises:
        InputRejected: names the trouble.
    """
    if len(text) > most:
        raise InputRejected(f"{what} {text[:40]!r}… has {len(text)} characters; at most {most} can be stored")
    if text.endswith(" "):
        raise InputRejected(f"{what} {text!r} ends with a space, of which MariaDB takes no notice")
    if not text.isprintable() and text != storable(text):
        raise InputRejected(f"{what} {text!r} holds NUL or half a surrogate pair, which databases do not store")
