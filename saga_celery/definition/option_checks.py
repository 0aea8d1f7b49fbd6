"""What can be wrong with the options of an activity, whichever form its saga is written in."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta

from saga_celery.core.retry import Retry
from saga_celery.definition.options import Options, seconds
from saga_celery.definition.spans import LONGEST

_WRITTEN = {"wait": "timeout"}
"""How an option is written where it has another name inside."""


def problems_of(options: Options) -> Iterator[str]:
    """Everything that does not fit, with what to write instead."""
    for option in ("timeout", "queue_grace", "settle_delay", "wait"):
        span = getattr(options, option)
        if span is not None and not _is_span(span):
            yield f"{_WRITTEN.get(option, option)}={span!r}; give more than 0 seconds, as a number or a timedelta"
    if isinstance(options.wait, int | float | timedelta) and seconds(options.wait) > LONGEST.total_seconds():
        yield f"timeout={options.wait!r}; give {LONGEST.days} days at most"
    if options.retry is not None and not isinstance(options.retry, Retry):
        yield f"retry={options.retry!r}; write retry=Retry(attempts=…)"
    if options.limit is not None and not _is_count(options.limit):
        yield f"limit={options.limit!r}; give the number of items that may be under way at once, 1 or more"
    if options.run_on is not None and not isinstance(options.run_on, bool):
        yield f"run_on={options.run_on!r}; write True, False, or None for what the saga says"
    if isinstance(options.fatal, str) or not isinstance(options.fatal, Collection):
        yield f"fatal={options.fatal!r}; write a list: fatal=[{options.fatal!r}]"
        return
    for each in options.fatal:
        if not (isinstance(each, str) and each) and not (isinstance(each, type) and issubclass(each, BaseException)):
            yield f"fatal={each!r} is neither an exception class nor the name of one"


def _is_count(count: object) -> bool:
    return isinstance(count, int) and not isinstance(count, bool) and count >= 1


def _is_span(span: object) -> bool:
    if isinstance(span, timedelta):
        return span > timedelta(0)
    return isinstance(span, int | float) and not isinstance(span, bool) and 0 < span < float("inf")
