"""Alerts: what the webhooks of `saga_alert_webhook` are told, and how. They are hooks whose task is the library's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from saga_celery.app.reading.excerpt import excerpt
from saga_celery.core.states import step_label
from saga_celery.definition.hooks import Hooks, declared_hooks
from saga_celery.engine.redaction import Redaction
from saga_celery.errors import AlertNotDelivered, NotConfigured
from saga_celery.settings import Settings
from saga_celery.transport.alerts import address_of
from saga_celery.transport.webhook import flaw, host_of, post, signature

TEST = "alert_test"
"""What `saga alert --test` calls its event."""
LONGEST_DETAIL = 500

_NEVER_HIDDEN = ("id", "event", "saga_id", "saga_name")
"""What an alert is about, whatever `saga_redact` says."""
_WORDS = {"saga_failed": "failed", "saga_stuck": "is stuck"}


def with_alerts(hooks: Hooks, settings: Settings) -> Hooks:
    """Hooks for all sagas, and the webhooks among them.

    Args:
        hooks: those of `saga_hooks`.
        settings: name the webhooks and the events.

    Raises:
        NotConfigured: a URL is none that can be posted to, or there is no such event.
    """
    for number, url in enumerate(settings.alert_webhook, start=1):
        if found := flaw(url):
            raise NotConfigured(f"saga_alert_webhook, number {number}: {found}; write https://host/path")
    if settings.console_url and (found := flaw(settings.console_url)):
        raise NotConfigured(f"saga_console_url: {found}; write https://host/path of the page of sagas")
    addresses = addresses_of(settings)
    declared = dict.fromkeys(settings.alert_events, addresses)
    events = declared_hooks(declared, lambda problem: NotConfigured(f"saga_alert_events: {problem}"))
    if not addresses:
        return hooks
    return {**hooks, **{event: (*hooks.get(event, ()), *addresses) for event in events}}


def addresses_of(settings: Settings) -> tuple[str, ...]:
    """What deliveries call the webhooks: their places in the list, as the URLs are secrets."""
    return tuple(address_of(number) for number in range(1, len(settings.alert_webhook) + 1))


class Alerts:
    """Posts what hooks are told to the webhooks.

    Args:
        settings: the checked configuration.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._redaction = Redaction(settings.redact)

    def post(self, payload: Mapping[str, Any], number: int) -> None:
        """Post an alert.

        Args:
            payload: what the hook is told, opened.
            number: which webhook of the list, from 1 on.

        Raises:
            AlertNotDelivered: the webhook did not take it, or is not in the list any more.
        """
        if not 1 <= number <= len(self._settings.alert_webhook):
            raise AlertNotDelivered(f"there is no webhook number {number}; see saga_alert_webhook")
        shown: dict[str, Any] = self._redaction.value(dict(payload))
        shown |= {name: payload[name] for name in _NEVER_HIDDEN}
        link = self._link(shown)
        alert = {"text": _escaped(_sentence(shown, link)), **({"url": link} if link else {}), **shown}
        body = json.dumps(alert).encode()
        headers = {"Idempotency-Key": str(payload["id"]), **signature(body, self._settings)}
        post(self._settings.alert_webhook[number - 1], body, headers)

    def _link(self, shown: Mapping[str, Any]) -> str:
        """The saga's page in the console."""
        base = self._settings.console_url
        return f"{base.partition('#')[0]}#/saga/{shown['saga_id']}" if base and shown["event"] != TEST else ""


def trial_payload(event_id: str, at: datetime) -> dict[str, Any]:
    """What a webhook is told of no saga."""
    about = {"saga_id": event_id, "saga_name": "(test)", "version": 0, "key": None, "tags": {}}
    return {"id": event_id, "event": TEST, "at": at.isoformat(), **about}


def hosts(settings: Settings) -> list[str]:
    """Where alerts go, for people's eyes."""
    return [host_of(url) for url in settings.alert_webhook]


def _sentence(shown: Mapping[str, Any], link: str) -> str:
    """What happened, and the next move."""
    if shown["event"] == TEST:
        return "saga_celery: this is a test. Alerts of sagas arrive here; nothing has to be done."
    saga = f"{shown['saga_name']} {shown['key'] or shown['saga_id']}"
    what = _WORDS.get(shown["event"], str(shown["event"]).replace("_", " "))
    step = f" at step {step_label(shown['step'], shown.get('item', 0))}" if shown.get("step") else ""
    why = ": ".join(str(shown[name]) for name in ("reason", "detail") if shown.get(name))
    next_move = f"Next: `celery -A … saga show {shown['saga_id']}`"
    because = f" ({excerpt(why, LONGEST_DETAIL)})" if why else ""
    return f"Saga {saga} {what}{step}{because}. {next_move} {link}".rstrip()


def _escaped(text: str) -> str:
    """As Slack wants it, so that no text of a saga pings a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
