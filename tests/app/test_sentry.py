"""The recipe for Sentry on the page about traces and logs, fed with what the docs test does not come by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.transport import Transport

from tests.app.conftest import Errands

PAGE = Path(__file__).parents[2] / "docs" / "tracing.md"
RECIPE = re.compile(r"^```python\n# telemetry/errors\.py\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


class Kept(Transport):
    """Keeps what would go to Sentry."""

    events: list[Any]

    def capture_envelope(self, envelope: Any) -> None:
        if event := envelope.get_event():
            self.events.append(event)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What goes to Sentry, set up as the recipe says, without the integrations that would stay for other tests."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(sentry_sdk, "init", lambda **options: given.update(options))
    found = RECIPE.search(PAGE.read_text())
    assert found
    exec(compile(found[1], PAGE, "exec"), {})  # noqa: S102 - it is our own page
    monkeypatch.setattr(Kept, "events", [], raising=False)
    client = sentry_sdk.Client(
        dsn=given["dsn"],
        before_send=given["before_send"],
        transport=Kept,
        default_integrations=False,
        integrations=[LoggingIntegration()],
    )
    with sentry_sdk.isolation_scope() as scope:
        scope.set_client(client)
        yield Kept.events
    client.close()


def test_a_dead_letter_is_an_event_that_is_found_by_its_saga(errands: Errands, events: list[Any]) -> None:
    first, second = errands.running(2)
    for handle in (first, second):
        errands.lose(handle)

    assert [each["tags"] for each in events] == [
        {"saga_id": handle.id, "saga_name": "town.errand", "saga_step": "only", "saga_direction": "action"}
        for handle in (first, second)
    ]
    assert [each["fingerprint"] for each in events] == [["{{ default }}", "town.errand", "only"]] * 2
    assert len({each["logentry"]["message"] for each in events}) == 1  # what Sentry groups by


def test_what_is_no_sagas_stays_as_it_is(events: list[Any]) -> None:
    sentry_sdk.capture_exception(ValueError("elsewhere"))
    (event,) = events
    assert "tags" not in event
    assert "fingerprint" not in event
