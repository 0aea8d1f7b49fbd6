"""Starting: from what a caller passes to `start()` to a request that holds nothing but checked, plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeAlias, TypeVar, get_args

from saga_celery.definition.definitions import Definition
from saga_celery.definition.desk import IfExists, StartRequest
from saga_celery.definition.inputs import encode_input
from saga_celery.definition.terms import IfLocked, priority_of, terms_of
from saga_celery.errors import InputRejected

InputT = TypeVar("InputT")
Tags: TypeAlias = Mapping[str, str | int]
"""What a saga can be searched by."""

CHOICES = get_args(IfExists)
LONGEST_KEY = 200
LONGEST_TAG = 200
MOST_TAGS = 20


@dataclass(frozen=True, slots=True)
class StartItem(Generic[InputT]):
    """One saga of `start_many`.

    Args:
        data: its input.
        key: its key; two sagas of one class never share a key.
        tags: what it can be searched by.
        lock: what it holds while it is open; see `Saga.start`, as for the rest.
        priority: for the broker and for queues.
        at: when it begins.
        delay: how long from now it begins.
    """

    data: InputT
    key: str | None = None
    tags: Tags | None = None
    lock: str | None = None
    priority: int | None = None
    at: datetime | None = None
    delay: timedelta | None = None


def start_request(
    definition: Definition,
    item: StartItem[InputT],
    *,
    headers: Mapping[str, str] | None,
    timeout: timedelta | None,
    limit: int,
    if_locked: IfLocked = "queue",
) -> StartRequest:
    """Check what a saga is started with.

    Args:
        definition: the saga.
        item: input, key, tags, and on what terms it begins.
        headers: message headers; None: taken down from the caller's surroundings.
        timeout: of this very saga; None: that of its class.
        limit: most bytes of the input as JSON text.
        if_locked: what to do while another saga holds its lock.

    Raises:
        InputRejected: names what does not fit.
    """
    return StartRequest(
        plan=definition.plan,
        input=encode_input(definition, item.data, limit),
        key=_key(definition, item.key),
        tags=_tags(definition, item.tags or {}),
        headers=None if headers is None else _headers(definition, headers),
        timeout=time_limit(definition, timeout),
        priority=priority_of(definition, item.priority),
        terms=terms_of(definition, lock=item.lock, if_locked=if_locked, at=item.at, delay=item.delay),
    )


def check_if_exists(definition: Definition, if_exists: IfExists) -> None:
    """Refuse a choice that there is not.

    Raises:
        InputRejected: names those that there are.
    """
    if if_exists not in CHOICES:
        raise InputRejected(
            f"{definition.label}: if_exists={if_exists!r}; it is one of {', '.join(map(repr, CHOICES))}"
        )


def _key(definition: Definition, key: str | None) -> str | None:
    if key is not None and not _is_text(key, LONGEST_KEY):
        raise InputRejected(
            f"{definition.label}: key={key!r}; a key is printable text of 1 to {LONGEST_KEY} characters"
        )
    return key


def _tags(definition: Definition, tags: Tags) -> Mapping[str, str]:
    if not isinstance(tags, Mapping):
        raise InputRejected(f"{definition.label}: tags={tags!r}; tags are a dict of names and values")
    for name, value in tags.items():
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise InputRejected(
                f"{definition.label}: tag {name!r}={value!r}; values of tags are texts or whole numbers"
            )
    texts = {name: str(value) for name, value in tags.items()}
    if len(texts) > MOST_TAGS:
        raise InputRejected(f"{definition.label}: {len(texts)} tags; a saga has {MOST_TAGS} at most")
    for name, text in texts.items():
        if not _is_text(name, LONGEST_TAG) or not _is_text(text, LONGEST_TAG):
            problem = f"names and values of tags are printable text of 1 to {LONGEST_TAG} characters"
            raise InputRejected(f"{definition.label}: tag {name!r}={text!r}; {problem}")
    return texts


def _headers(definition: Definition, headers: Mapping[str, str]) -> Mapping[str, str]:
    if not isinstance(headers, Mapping):
        raise InputRejected(f"{definition.label}: headers={headers!r}; headers are a dict of texts")
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InputRejected(f"{definition.label}: header {name!r}={value!r}; headers are text")
    return dict(headers)


def time_limit(definition: Definition, timeout: timedelta | None) -> float | None:
    """Seconds that a saga may take as a whole; None: as long as it needs.

    Args:
        definition: of its class.
        timeout: of this very saga; None: that of its class.

    Raises:
        InputRejected: it is no length of time in the future.
    """
    if timeout is None:
        return definition.timeout
    if not isinstance(timeout, timedelta):
        raise InputRejected(f"{definition.label}: timeout={timeout!r}; write timedelta(seconds=…)")
    if timeout <= timedelta(0):
        raise InputRejected(f"{definition.label}: timeout={timeout!r}; a deadline lies in the future")
    return timeout.total_seconds()


def _is_text(text: object, longest: int) -> bool:
    return isinstance(text, str) and 0 < len(text) <= longest and text.isprintable()
