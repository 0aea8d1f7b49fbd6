"""What `@step(…)`, `@x.compensate(…)` and `@x.probe(…)` may be given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from saga_celery.core.retry import Retry

Seconds: TypeAlias = float | timedelta
"""A span of time; plain numbers are seconds."""
Fatal: TypeAlias = Sequence[str | type[BaseException]]
"""Exception types, or their names: bare (`CardDeclined`) or dotted (`billing.CardDeclined`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of one activity, as they were written; None stands for the default."""

    retry: Retry | None = None
    timeout: Seconds | None = None
    queue_grace: Seconds | None = None
    settle_delay: Seconds | None = None
    idempotent: bool | None = None
    fatal: Fatal = ()
    null_safe: bool = False
    pivot: bool = False
    no_compensation: str | None = None
    limit: int | None = None
    """How many items of a fan-out may be under way at once."""
    renamed_from: tuple[str, ...] = ()
    """Names that the step had before, under which it stands in the plans of sagas that are open."""
    wait: Seconds | None = None
    """Of a wait: when nobody will answer any more."""
    run_on: bool | None = None
    """Whether the process that would send its message may run it right away."""
    skippable: bool = False
    """Of a wait: the saga goes on without an answer."""


def seconds(span: Seconds) -> float:
    """A span of time in seconds."""
    return span.total_seconds() if isinstance(span, timedelta) else float(span)


def fatal_names(fatal: Fatal) -> tuple[str, ...]:
    """The names by which exceptions are recognised, on workers that do not have their classes as well."""
    return tuple(each if isinstance(each, str) else exception_name(each) for each in fatal)


def exception_name(kind: type[BaseException]) -> str:
    """Dotted name of an exception type; the bare name for those of the language itself."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
