"""Is the broker there, and does it keep what it is given?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from celery import Celery

from saga_celery.app.reading.excerpt import excerpt
from saga_celery.cli.doctor.finding import Finding, fix, note, ok
from saga_celery.definition.options import seconds
from saga_celery.definition.registry import registered
from saga_celery.errors import PublishFailed
from saga_celery.settings import Settings
from saga_celery.transport.broker import Broker

REDIS_VISIBILITY = 3600.0
"""Seconds after which kombu's Redis transport hands an unacknowledged message to another worker, unless set."""


def reachable(app: Celery) -> Finding:
    """Whether the broker answers within two seconds."""
    url = app.connection_for_write().as_uri()
    try:
        with closing(Broker(app)) as broker:
            broker.use(_knock)
    except PublishFailed as failure:
        return fix("broker", f"{url} does not answer: {excerpt(str(failure))}", "start it, or mend `broker_url`")
    return ok("broker", f"{url} answers")


def keeps_messages(app: Celery) -> Iterator[Finding]:
    """Whether a Redis that runs full refuses messages rather than drop them."""
    if not _is_redis(app):
        return
    try:
        with closing(Broker(app)) as broker:
            policy, limit = broker.use(_memory)
    except Exception as failure:  # hosted servers forbid CONFIG, each in its own words
        text = f"does not tell its maxmemory-policy: {excerpt(str(failure))}"
        yield note("redis", text, "make sure that it is noeviction")
        return
    if policy == "noeviction":
        yield ok("redis", "maxmemory-policy noeviction")
    elif limit:
        yield fix("redis", f"maxmemory-policy {policy} drops messages when memory is short", "set it to noeviction")
    else:
        yield note("redis", f"maxmemory-policy {policy}, no maxmemory yet", "set it to noeviction before a limit")


def waits_for_long_steps(app: Celery, settings: Settings) -> Iterator[Finding]:
    """Whether Redis waits longer than the longest step before it hands its message to a second worker."""
    if not _is_redis(app):
        return
    visibility = float(app.conf.broker_transport_options.get("visibility_timeout", REDIS_VISIBILITY))
    longest, where = _longest_step(settings)
    if visibility > longest:
        yield ok("visibility_timeout", f"{visibility:g} s is longer than the longest step ({where}: {longest:g} s)")
    else:
        yield fix(
            "visibility_timeout",
            f"{visibility:g} s, but {where} may take {longest:g} s: Redis gives a running step to a second worker",
            f"set broker_transport_options['visibility_timeout'] to more than {longest:g}",
        )


def _longest_step(settings: Settings) -> tuple[float, str]:
    found = [(settings.step_timeout, "saga_step_timeout")]
    for name, saga in registered().items():
        for step in saga.definition().steps.values():
            for activity in (step.action, step.compensation, step.probe):
                if activity is not None and activity.options.timeout is not None:
                    found.append((seconds(activity.options.timeout), f"{name}.{step.name}"))
    return max(found)


def _is_redis(app: Celery) -> bool:
    return app.connection_for_write().transport.driver_type == "redis"


def _knock(producer: Any) -> None:
    """Opening a channel connects; Redis has to be asked something, as its client connects late."""
    client = getattr(producer.channel, "client", None)
    if producer.connection.transport.driver_type == "redis" and client is not None:
        client.ping()


def _memory(producer: Any) -> tuple[str, int]:
    client = producer.channel.client
    policy = client.config_get("maxmemory-policy")["maxmemory-policy"]
    limit = client.config_get("maxmemory")["maxmemory"]
    return (policy.decode() if isinstance(policy, bytes) else str(policy)), int(limit)
