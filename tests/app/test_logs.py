"""What log records tell of the saga they are about, and the line that a dead letter writes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from saga_celery.core import events as e
from saga_celery.core.states import Direction, Failure, Reason, SagaStatus, Slot
from saga_celery.engine.log_fields import FIELDS, about
from saga_celery.engine.ports import Outgoing
from saga_celery.errors import PublishFailed, StoreUnavailable
from saga_celery.logs import SagaFields, saga_fields
from saga_celery.settings import Settings
from saga_celery.transport import wire
from tests.app.conftest import Errands
from tests.transport.lab import outgoing

PLACE = {
    "saga_id": "saga-1",
    "saga_name": "shop.order",
    "saga_step": "charge",
    "saga_item": 3,
    "saga_direction": "compensation",
    "saga_attempt": 2,
    "correlation_id": "c-7",
}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def message(**more: Any) -> Outgoing:
    slot = Slot("charge", 3, Direction.COMPENSATION)
    return outgoing("ok", saga_id="saga-1", slot=slot, attempt=2, headers={"correlation_id": "c-7"}, **more)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    return {name: vars(record).get(name) for name in FIELDS}


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """What the logger of some user's module writes, through a handler with the filter."""
    found: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = found.append  # type: ignore[method-assign]
    handler.addFilter(SagaFields())
    logger = logging.getLogger("town")
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)


def run_in_task(errands: Errands, headers: dict[str, Any], *acts: Any) -> None:
    @errands.sagas.celery.task(name="saga_celery.not_wrapped", shared=False)
    def body() -> None:
        for act in acts:
            act()

    body.apply(headers=headers).get()


# --------------------------------------------------------------------------------------------------- records of a step


def test_what_a_step_logs_itself_tells_its_saga(errands: Errands, records: list[logging.LogRecord]) -> None:
    say = logging.getLogger("town").warning
    run_in_task(errands, wire.headers_of(message(), Settings()), lambda: say("charged"))
    assert [fields_of(each) for each in records] == [PLACE]


def test_outside_of_sagas_every_field_is_empty_text(errands: Errands, records: list[logging.LogRecord]) -> None:
    say = logging.getLogger("town").warning
    say("no task at all")
    run_in_task(errands, {"correlation_id": "c-7"}, lambda: say("a task, but of no saga"))
    assert [fields_of(each) for each in records] == [dict.fromkeys(FIELDS, "")] * 2
    assert logging.Formatter("%(saga_id)s|%(saga_attempt)s|%(message)s").format(records[0]) == "||no task at all"


def test_what_a_record_brings_along_stays(errands: Errands, records: list[logging.LogRecord]) -> None:
    say = logging.getLogger("town").warning
    headers = wire.headers_of(message(), Settings())
    run_in_task(
        errands,
        headers,
        lambda: say("its own", extra=about("saga-1", "another name")),
        lambda: say("another saga's", extra=about("saga-2")),
    )
    own, other = (fields_of(each) for each in records)
    assert own == {**PLACE, "saga_name": "another name"}
    assert other == {**dict.fromkeys(FIELDS, ""), "saga_id": "saga-2"}


def test_the_fields_can_be_asked_for(errands: Errands) -> None:
    found: list[dict[str, Any]] = []
    run_in_task(errands, wire.headers_of(message(), Settings()), lambda: found.append(saga_fields()))
    assert found == [PLACE]
    assert saga_fields() == {}


# ------------------------------------------------------------------------------------------------ the library's records


def test_the_library_tells_the_saga_where_no_task_runs(
    errands: Errands, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: Any) -> None:
        raise PublishFailed("away")

    (handle,) = errands.saga.start_many([1], headers={"correlation_id": "c-7"})
    monkeypatch.setattr(errands.sagas.transport, "send", away)
    caplog.clear()
    errands.news(handle, e.Nudged())

    (record,) = [each for each in caplog.records if "the sweeper sends it" in each.message]
    told = {"saga_id": handle.id, "saga_name": "town.errand", "correlation_id": "c-7"}
    assert fields_of(record) == {**dict.fromkeys(FIELDS, ""), **told}


def errors(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [each for each in caplog.records if each.levelno == logging.ERROR]


def test_a_dead_letter_is_logged_once_with_the_next_move(errands: Errands, caplog: pytest.LogCaptureFixture) -> None:
    (handle,) = errands.running()
    lost = e.AttemptLost(slot=Slot("only"), attempt=1, reason="worker w1 died, token=hunter2\nand a second line")
    errands.news(handle, lost)
    errands.news(handle, lost)

    (record,) = errors(caplog)
    assert record.message == (
        f"saga {handle.id} (town.errand): only waits for a person: nobody knows whether it took effect "
        "(saga_celery.OutcomeUnknown: worker w1 died, token=***); next: "
        f"celery -A … saga resolve {handle.id} --step only --as done --result '…' --reason '…'"
    )
    place = {"saga_step": "only", "saga_item": 0, "saga_direction": "action", "saga_attempt": 1}
    assert fields_of(record) == {
        "saga_id": handle.id, "saga_name": "town.errand", **place, "correlation_id": "",
    }  # fmt: skip


def test_an_effect_after_the_end_is_logged_too(errands: Errands, caplog: pytest.LogCaptureFixture) -> None:
    (handle,) = errands.running()
    failure = Failure(type="shop.Broken", message="no luck")
    errands.news(handle, e.AttemptFailed(slot=Slot("only"), attempt=1, failure=failure))
    assert errors(caplog) == []
    errands.complete(handle)

    (record,) = errors(caplog)
    assert "took effect after the saga's end" in record.message
    assert f"saga resolve {handle.id} --step only" in record.message


def test_a_plan_that_can_not_be_read_harms_nothing(
    errands: Errands, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (handle,) = errands.running()
    store, plan = errands.sagas.store, errands.sagas.store.plan

    def gone(plan_hash: str) -> Any:
        if store.load(handle.id).status is SagaStatus.FAILED:  # type: ignore[union-attr] # from the commit on
            raise StoreUnavailable("the database went away")
        return plan(plan_hash)

    monkeypatch.setattr(store, "plan", gone)
    errands.news(handle, e.AttemptLost(slot=Slot("only"), attempt=1, reason="worker w1 died"))
    (record,) = errors(caplog)
    assert f"saga resolve {handle.id} --step only --reason" in record.message
    assert Reason.IN_DOUBT in [letter.reason for letter in store.load(handle.id).letters]  # type: ignore[union-attr]
