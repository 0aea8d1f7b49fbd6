"""What is understood, and what is not."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from saga_celery.core.events import AttemptFailed, AttemptLost, AttemptSucceeded
from saga_celery.core.states import Direction, Failure, Slot
from saga_celery.engine.failures import failure_of
from saga_celery.errors import MessageNotUnderstood
from saga_celery.settings import Settings
from saga_celery.transport import payload, wire
from saga_celery.transport.reports import Alive, Begun, Dispatched, OwnRetry, seal, unseal
from tests.transport.lab import outgoing

SLOT = Slot("charge", 3, Direction.COMPENSATION, 2)
OPEN = Settings()
KEYED = Settings(hmac_keys={"old": "one", "new": "two"})
FAILURE = Failure(
    type="shop.Broken", message="m", types=("shop.Broken", "Broken", "Exception"), traceback="t", step="charge"
)
REPORTS = [
    Begun(slot=SLOT, attempt=2, epoch=1, worker="celery@host:12"),
    OwnRetry(slot=SLOT, attempt=2, seconds=1.5),
    Dispatched(slot=SLOT, attempt=2),
    AttemptSucceeded(slot=SLOT, attempt=2, result={"__type__": "datetime", "__value__": "x"}),
    AttemptFailed(slot=SLOT, attempt=2, failure=FAILURE, took_effect=True, retry_after=3.0),
    pytest.param(AttemptFailed(slot=SLOT, attempt=2, failure=FAILURE, retry_after=3.0, counts=False), id="uncounted"),
    AttemptLost(slot=SLOT, attempt=2, reason="gone"),
    Alive(slot=SLOT, attempt=2, worker="celery@host:12"),
]


# -------------------------------------------------------------------------------------------------------------- headers


def test_headers_there_and_back():
    sent = outgoing("ok", attempt=2, epoch=4, resends=1, claim=True)
    found = wire.delivery_from(wire.headers_of(sent, OPEN))
    assert (found.saga_id, found.slot, found.attempt, found.epoch, found.resends, found.claim) == (
        sent.saga_id, sent.slot, 2, 4, 1, True,
    )  # fmt: skip
    assert (found.report_to, found.not_after) == ("saga", None)


def test_the_place_can_be_read_without_the_slot():
    headers = wire.headers_of(outgoing("ok", slot=SLOT, attempt=2), OPEN)
    place = ("saga_name", "saga_step", "saga_item", "saga_direction", "saga_attempt")
    assert [headers[name] for name in place] == ["shop.order", "charge", 3, "compensation", 2]


def test_a_message_of_an_earlier_release_lacks_them_and_is_understood():
    headers = wire.headers_of(outgoing("ok", slot=SLOT), OPEN)
    for name in (wire.STEP, wire.ITEM, wire.DIRECTION):
        del headers[name]
    assert wire.delivery_from(headers).slot == SLOT


def test_sentry_is_told_to_leave_a_trace_that_is_there():
    sent = outgoing("ok", headers={"sentry-trace": "1-1"})
    assert wire.headers_of(sent, OPEN)["sentry-propagate-traces"] is False
    assert "sentry-propagate-traces" not in wire.headers_of(outgoing("ok"), OPEN)


def test_the_date_there_and_back():
    date = datetime(2030, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    headers = json.loads(json.dumps(wire.headers_of(outgoing("ok"), OPEN, date)))
    assert wire.delivery_from(headers).not_after == date


@pytest.mark.parametrize(("name", "value"), [
    ("saga_v", 2), ("saga_v", None), ("saga_id", "a b"), ("saga_id", "x" * 65), ("saga_id", 7), ("saga_id", "x\n"),
    ("saga_slot", ["charge", 0, "action"]), ("saga_slot", ["charge", 0, "sideways", 1]), ("saga_slot", "charge"),
    ("saga_slot", ["charge", True, "action", 1]), ("saga_attempt", 0), ("saga_attempt", True), ("saga_attempt", "1"),
    ("saga_attempt", 10**12), ("saga_epoch", -1), ("saga_claim", 1), ("saga_timeout", float("nan")),
    ("saga_timeout", -1), ("saga_plan", "../etc"), ("saga_report_to", "a\nb"), ("saga_name", ""),
    ("saga_not_after", "2030-01-01"), ("saga_not_after", True), ("saga_not_after", float("inf")),
    ("saga_not_after", -1),
])  # fmt: skip
def test_headers_that_are_not_well_formed(name, value):
    headers = {**wire.headers_of(outgoing("ok"), OPEN), name: value}
    with pytest.raises(MessageNotUnderstood):
        wire.delivery_from(headers)


def test_what_is_dropped_is_counted():
    before = wire.dropped["odd"]
    wire.drop("a message", MessageNotUnderstood("odd"))
    assert wire.dropped["odd"] == before + 1


# -------------------------------------------------------------------------------------------------------------- reports


@pytest.mark.parametrize("settings", [OPEN, KEYED])
@pytest.mark.parametrize("report", REPORTS, ids=lambda report: type(report).__name__)
def test_reports_there_and_back(report, settings):
    assert unseal("saga-1", json.loads(json.dumps(seal("saga-1", report, settings))), settings) == report


def test_any_of_the_keys_is_good():
    assert unseal("saga-1", seal("saga-1", REPORTS[0], Settings(hmac_keys={"old": "one"})), KEYED) == REPORTS[0]


def forgeries():
    good = seal("saga-1", REPORTS[3], KEYED)
    yield "unsigned", seal("saga-1", REPORTS[3], OPEN)
    yield "another key", seal("saga-1", REPORTS[3], Settings(hmac_keys={"new": "guess"}))
    yield "an unknown key", seal("saga-1", REPORTS[3], Settings(hmac_keys={"none": "two"}))
    yield "changed", {**good, "text": good["text"].replace('"attempt":2', '"attempt":3')}
    yield "another key's name", {**good, "key": "old"}
    yield "no text for a mac", {**good, "mac": None}
    yield "letters beyond ASCII", {**good, "mac": "é" * 64}


@pytest.mark.parametrize("envelope", [pytest.param(envelope, id=name) for name, envelope in forgeries()])
def test_forged_reports(envelope):
    with pytest.raises(MessageNotUnderstood, match=r"signed|signature"):
        unseal("saga-1", envelope, KEYED)


def test_a_report_can_not_be_replayed_to_another_saga():
    with pytest.raises(MessageNotUnderstood, match="another saga"):
        unseal("saga-2", seal("saga-1", REPORTS[3], KEYED), KEYED)


def broken_texts():
    good = json.loads(seal("saga-1", REPORTS[4], OPEN)["text"])
    failure = good["failure"]
    yield "{"
    yield "[]"
    yield "[" * 100_000
    yield json.dumps({**good, "v": 2})
    yield json.dumps({**good, "kind": "owned"})
    yield json.dumps({**good, "took_effect": 1})
    yield json.dumps({**good, "retry_after": "soon"})
    yield json.dumps({**good, "counts": 0})
    yield json.dumps({**good, "failure": None})
    yield json.dumps({**good, "failure": {**failure, "message": "x" * 2001}})
    yield json.dumps({**good, "failure": {**failure, "types": ["x"] * 41}})
    yield json.dumps({**good, "failure": {**failure, "types": "x"}})
    yield "x" * (OPEN.payload_limit + 100_000)


@pytest.mark.parametrize("text", [pytest.param(text, id=str(number)) for number, text in enumerate(broken_texts())])
def test_reports_that_are_not_well_formed(text):
    with pytest.raises(MessageNotUnderstood):
        unseal("saga-1", {"text": text}, OPEN)


@pytest.mark.parametrize("envelope", [None, "text", [], {}, {"text": 3}])
def test_what_is_no_report_at_all(envelope):
    with pytest.raises(MessageNotUnderstood):
        unseal("saga-1", envelope, OPEN)


def test_a_result_larger_than_the_coordinators_limit_took_effect():
    sealed = seal("saga-1", AttemptSucceeded(slot=SLOT, attempt=1, result="x" * 2000), OPEN)
    news = unseal("saga-1", sealed, replace(OPEN, payload_limit=1000))
    assert isinstance(news, AttemptFailed)
    assert news.took_effect


# ------------------------------------------------------------------------------------------------- failures, results


class Unprintable(ValueError):
    def __str__(self):
        raise RuntimeError("no")


def test_a_failure_has_the_names_of_its_ancestors_and_bounds():
    error = type("Deep", (Unprintable, KeyError), {"__module__": "billing"})
    failure = failure_of(error("x"), step="charge")
    assert failure.type == "billing.Deep"
    assert {"billing.Deep", "Deep", "ValueError", "LookupError", "Exception"} <= set(failure.types)
    assert failure.types[-1] == "Exception"
    assert "BaseException" not in failure.types
    long = failure_of(ValueError("x" * 10_000), step="charge")
    assert (len(long.message), len(long.traceback)) == (2000, 4000)


@pytest.mark.parametrize("result", [float("nan"), object(), {1: {2: object()}}, "\ud800"])
def test_results_that_are_no_json(result):
    with pytest.raises(payload.Unstorable) as caught:
        payload.plain(result, 1000)
    assert caught.value.name == "ResultNotSerializable"


def test_a_result_that_is_nested_too_deep():
    deep = []
    for _ in range(payload.DEEPEST + 1):
        deep = [deep]
    with pytest.raises(payload.Unstorable) as caught:
        payload.plain(deep, 100_000)
    assert caught.value.name == "ResultTooDeep"


def test_results_as_json_gives_them_back():
    assert payload.plain({1: (2, {3})}, 1000) == {"1": [2, [3]]}
