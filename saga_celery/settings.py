"""Everything that can be configured: keys `saga_*` of the Celery app's own configuration (`CELERY_SAGA_*` under
Django)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from saga_celery.errors import NotConfigured

PREFIX = "saga_"

RUN_ON = ("safe", "asked", "never")

_ONE_WILL_DO = ("alert_webhook", "alert_events")
"""Lists that may be written as their only entry."""
_SPANS = ("retention", "archive_after")
"""Lengths of time that need not be set."""

CONTEXT_HEADERS = (
    "traceparent",
    "tracestate",
    "baggage",
    "sentry-trace",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "request_id",
    "correlation_id",
)
"""Message headers that are taken down at `start()` and put back on every message of the saga."""

REDACTED = (
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "authorization",
    "cookie",
    "credentials",
    "api_key",
    "apikey",
    "access_key",
    "private_key",
    "card",
    "cvc",
    "cvv",
    "pan",
    "pin",
    "iban",
    "ssn",
)
"""Names of what is nobody's business, in parts of names: see `saga_celery.engine.redaction`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The configuration, checked. Times are seconds, sizes are bytes."""

    database_url: str = ""
    """SQLAlchemy URL of the saga database. Empty: that of the framework around (see docs/django.md); where there is
    none, this process only reports to a coordinator."""
    database_options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of `sqlalchemy.create_engine`, such as `pool_size`; see docs/scaling.md."""
    database_alias: str = "default"
    """Under Django: which of its `DATABASES` holds the sagas, where `database_url` is empty."""
    queue: str = "saga"
    """Queue of the coordinator task."""
    participants: tuple[str, ...] = ()
    """Patterns of task names (`inventory.*`) that are acknowledged late and put back when their worker process is
    lost."""
    foreign_queues: tuple[str, ...] = ()
    """Queues whose workers have no saga code."""
    coordinator: bool = True
    """Workers that have the database also consume the coordinator's queue."""
    sweeper: bool = True
    """Workers that have the database also sweep."""
    sweep_interval: float = 1.0
    heartbeat_interval: float = 5.0
    step_timeout: float = 300.0
    """Default of a step's `timeout`."""
    queue_grace: float = 30.0
    """Default of a step's `queue_grace`."""
    settle_delay: float = 5.0
    """Default of a step's `settle_delay`."""
    run_on: str = "safe"
    """Which steps a worker may run right after the step in front of them, in the same process and without the broker:
    `safe`: those that are safe to run twice, and those that ask for it; `asked`: only those that ask; `never`. See
    docs/run-on.md."""
    run_on_slice: float = 1.0
    """Seconds for which a process runs on; the step that comes then goes through the broker."""
    message_lifetime: float = 86_400.0
    """How long after it was sent an action may begin; a barrier refuses it later. Longer than any queue of yours."""
    clock_skew: float = 60.0
    """The most by which a participant's database clock is behind that of the saga database; taken off the lifetime."""
    payload_limit: int = 1_048_576
    """Largest input, message or result as JSON text."""
    payload_inline: int = 1_048_576
    """Largest of them that is kept in rows and messages; a larger one is kept apart and only referred to."""
    payload_store: Any = None
    """Where values are kept apart: a URL (`file:///srv/sagas`), or a `PayloadStore` or the dotted path of one or of
    what makes one. None: in the saga database."""
    codec: Any = None
    """Seals values at rest and in the broker: a `Codec`, or the dotted path of one or of what makes one; or a list of
    them, of which the first one seals and all open."""
    fernet_keys: tuple[str, ...] = ()
    """Seal with Fernet (`saga-celery[crypto]`): the first key seals, every one opens."""
    redact: tuple[str, ...] = REDACTED
    """Names whose values are never shown: `card` covers `card`, `cardNumber` and `CREDIT-CARD`."""
    context_headers: tuple[str, ...] = CONTEXT_HEADERS
    hmac_keys: Mapping[str, str] = field(default_factory=dict)
    """Key id -> secret; reports are signed with the last one and accepted with any."""
    hooks: Mapping[str, Any] = field(default_factory=dict)
    """Event -> name of a task, or a list of names, that is told of it for every saga; see docs/hooks.md."""
    hook_grace: float = 60.0
    """Seconds from sending a hook to its end after which it is sent again; doubled each time."""
    alert_webhook: tuple[str, ...] = ()
    """URL, or list of URLs, that is told of sagas in trouble; see docs/alerts.md. It may be a secret."""
    alert_events: tuple[str, ...] = ("saga_failed", "saga_stuck")
    """Which events those are told of."""
    retention: float | timedelta | None = None
    """How long a saga that has ended is kept (seconds, or a `timedelta`) before sweepers delete it; see
    docs/retention.md. None: for ever."""
    archive_after: float | timedelta | None = None
    """How long after its end sweepers move a saga into the archive; None: never."""
    console_url: str = ""
    """Where the page of sagas is, for links in alerts: `https://flower.example/sagas`."""
    flower_url: str = ""
    """Address of Flower (`https://ops.example.com/flower`), where a saga's page is to link its tasks to it."""
    console_writable: bool = False
    """Whoever is logged in to Flower may also operate sagas in its Sagas tab."""

    @classmethod
    def from_conf(cls, conf: Mapping[str, Any]) -> Settings:
        """Read and check the `saga_*` keys.

        Args:
            conf: the Celery app's configuration.

        Raises:
            NotConfigured: a key is unknown (names the likeliest one) or has a value that can not be.
        """
        known = {each.name for each in fields(cls)}
        given = {name.removeprefix(PREFIX): conf[name] for name in sorted(_saga_keys(conf))}
        for name in given:
            if name not in known:
                raise NotConfigured(_unknown(name, known))
        settings = cls(**{name: _checked(name, value, cls) for name, value in given.items()})
        for name in _SPANS:
            _check_span(name, getattr(settings, name))
        if settings.run_on not in RUN_ON:
            raise NotConfigured(f"setting saga_run_on={settings.run_on!r}: expected one of {', '.join(RUN_ON)}")
        if settings.clock_skew >= settings.message_lifetime:
            raise NotConfigured(
                f"saga_clock_skew={settings.clock_skew:g} leaves nothing of saga_message_lifetime="
                f"{settings.message_lifetime:g}: lengthen the lifetime, or synchronise the clocks"
            )
        return settings


def _saga_keys(conf: Mapping[str, Any]) -> set[str]:
    """The keys as we call them, which is how Celery looks them up: it tells them as the user wrote them, namespace and
    all (`CELERY_SAGA_QUEUE`)."""
    read = getattr(conf, "data", conf)  # what Celery has not read yet does not know its namespace
    namespaced = f"{getattr(read, 'prefix', None) or ''}{PREFIX}".lower()
    names = {name for name in read if isinstance(name, str)}
    ours = {PREFIX + name.lower()[len(namespaced) :] for name in names if name.lower().startswith(namespaced)}
    return {name for name in names | ours if name.startswith(PREFIX) and name in conf}


def _unknown(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = (
        f"did you mean {PREFIX}{close[0]}?" if close else f"known are: {', '.join(sorted(PREFIX + k for k in known))}"
    )
    return f"unknown setting {PREFIX}{name}: {hint}"


def _checked(name: str, value: Any, settings: type[Settings]) -> Any:
    default = next(each.default for each in fields(settings) if each.name == name)
    if default is None:
        return value
    if isinstance(default, bool):
        expected: tuple[type, ...] = (bool,)
    elif isinstance(default, float):
        expected = (int, float)
    elif isinstance(default, tuple):
        value = (value,) if name in _ONE_WILL_DO and isinstance(value, str) else value
        value, expected = _as_tuple(value), (tuple,)
    elif isinstance(default, int | str):
        expected = (type(default),)
    else:
        expected = (Mapping,)
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        raise NotConfigured(f"setting {PREFIX}{name}={value!r}: expected {' or '.join(t.__name__ for t in expected)}")
    if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0:
        raise NotConfigured(f"setting {PREFIX}{name}={value!r}: must be positive")
    return value


def _check_span(name: str, value: Any) -> None:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0):
        raise NotConfigured(
            f"setting {PREFIX}{name}={value!r}: expected a positive number of seconds, a timedelta, or None"
        )


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | set | tuple) else value
