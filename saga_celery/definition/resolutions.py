"""What a person says about a step in doubt, read from the enum or its text."""

from __future__ import annotations

from saga_celery.core.events import Resolution
from saga_celery.errors import InputRejected


def resolution_of(said: Resolution | str | None) -> Resolution | None:
    """Read a resolution; None stays None.

    Args:
        said: a `Resolution`, or its text.

    Raises:
        InputRejected: there is no such resolution; names those that there are.
    """
    try:
        return None if said is None else Resolution(said)
    except ValueError:
        known = ", ".join(repr(each.value) for each in Resolution)
        raise InputRejected(f"resolution={said!r}; it is one of {known}") from None
