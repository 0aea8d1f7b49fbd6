"""Which steps can only wait for a person when nobody knows whether they took effect?"""

from __future__ import annotations

from collections.abc import Iterator

from saga_celery.cli.doctor.finding import Finding, note, ok
from saga_celery.definition.parking import only_parking
from saga_celery.definition.registry import registered


def unknown_outcomes() -> Iterator[Finding]:
    """Steps that are neither probed, nor idempotent or keyed, nor undone without a result."""
    if not registered():
        yield note(
            "sagas",
            "this app defines no saga class",
            "name their modules in `include=` of the Celery app; chains need none",
        )
        return
    parking = sorted(
        f"{name}.{step}" for name, saga in registered().items() for step in only_parking(saga.definition())
    )
    if parking:
        yield note(
            "unknown outcomes",
            f"these steps can only park in doubt: {', '.join(parking)}",
            "hand on self.key(), or add a probe, idempotent=True or a null_safe compensation",
        )
    else:
        yield ok("unknown outcomes", f"sagas: {len(registered())}; each step can be asked, repeated or undone")
