"""What a person may do from a web page."""

from __future__ import annotations

from datetime import timedelta

import pytest

from saga_celery import InputRejected, Refused, Saga, SagaNotFound, StaleVersion, wait_for
from saga_celery.contrib import console
from saga_celery.core import events as e
from saga_celery.core.states import SagaStatus, StepStatus
from saga_celery.errors import EventConflict, NotConfigured, StoreUnavailable


def act(shop, saga_id, verb, actor="ann", **body):
    return console.act(shop.sagas, saga_id, verb, body, actor=actor)


def state(shop, saga_id):
    return shop.sagas.store.load(saga_id)


def waiting_saga(shop):
    class AskSaga(Saga[int, bool]):
        name = "town.ask"

        @wait_for(bool, timeout=timedelta(days=1))
        def approve(self, number: int) -> None: ...

        def result(self, number: int, approve: bool) -> bool:
            return approve

    saga_id = AskSaga.start(1).id
    shop.news(saga_id, e.Nudged())
    return saga_id


def test_retry(shop):
    saga_id = shop.exhausted()
    assert act(shop, saga_id, "retry", step="label", reason="paper is back") == {
        "id": saga_id,
        "verb": "retry",
        "state": "RUNNING",
    }
    entry = shop.sagas.store.queries.history(saga_id)[-1]
    assert entry.actor == "ann"
    assert "paper is back" in str(entry.facts)


def test_skip_with_a_result(shop):
    saga_id = shop.exhausted()
    act(shop, saga_id, "skip", reason="by hand", result="label 7")
    assert state(shop, saga_id).step("label", 0).result == "label 7"


def test_resolve(shop):
    saga_id = shop.in_doubt()
    act(shop, saga_id, "resolve", step="tell", resolution="done", result="told", reason="asked them")
    assert state(shop, saga_id).step("tell", 0).status is StepStatus.SUCCEEDED


def test_cancel_suspend_and_resume(shop):
    saga_id = shop.start()
    act(shop, saga_id, "suspend", reason="is it right?")
    assert state(shop, saga_id).suspended
    act(shop, saga_id, "resume", reason="it is")
    assert not state(shop, saga_id).suspended
    assert act(shop, saga_id, "cancel", reason="unwanted")["state"] == "COMPENSATED"


def test_send(shop):
    saga_id = waiting_saga(shop)
    assert act(shop, saga_id, "send", step="approve", event=True)["verb"] == "send"
    shop.news(saga_id, e.Nudged())
    assert state(shop, saga_id).status is SagaStatus.COMPLETED
    assert "ann" in str(shop.sagas.store.queries.history(saga_id))


@pytest.mark.parametrize("verb", [verb for verb in console.VERBS if verb != "send"])
@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "  "}])
def test_without_a_reason_nothing_happens(shop, verb, body):
    saga_id = shop.in_doubt()
    before = state(shop, saga_id)
    with pytest.raises(Refused, match="say why"):
        act(shop, saga_id, verb, **body)
    assert state(shop, saga_id) == before


def test_without_a_name_nothing_happens(shop):
    with pytest.raises(Refused, match="nobody is named"):
        act(shop, shop.start(), "cancel", actor=" ", reason="x")


@pytest.mark.parametrize(
    ("verb", "body", "sentence"),
    [
        ("delete", {}, "there is no action 'delete'; known are: retry"),
        ("compensate", {"reason": "x"}, "there is no action 'compensate'"),
        ("retry", ["reason"], "no JSON object"),
        ("retry", None, "no JSON object"),
        ("retry", {"raeson": "x"}, "did you mean 'reason'"),
        ("retry", {"zzz": "x"}, "known are: reason"),
        ("retry", {"reason": 7}, "reason is a text"),
        ("retry", {"reason": "x", "step": 7}, "step is a text"),
        ("retry", {"reason": "x", "expected_version": "7"}, "whole number"),
        ("retry", {"reason": "x", "expected_version": True}, "whole number"),
        ("resolve", {"reason": "x", "resolution": "perhaps"}, "one of done, never"),
        ("send", {}, "the event is missing"),
        ("send", {"step": "aprove", "event": True}, "did you mean 'approve'"),
        ("send", {"step": "approve", "event": "perhaps"}, "approve"),
    ],
)
def test_what_can_not_be_asked_is_told(shop, verb, body, sentence):
    with pytest.raises(InputRejected, match=sentence):
        console.act(shop.sagas, waiting_saga(shop), verb, body, actor="ann")


@pytest.mark.parametrize(("verb", "rest"), [("cancel", {"reason": "x"}), ("send", {"step": "approve", "event": True})])
def test_a_saga_that_has_moved_since_is_left_alone(shop, verb, rest):
    saga_id = waiting_saga(shop)
    version = shop.sagas.store.queries.row(saga_id).version
    with pytest.raises(StaleVersion):
        act(shop, saga_id, verb, expected_version=version - 1, **rest)
    assert shop.sagas.store.queries.row(saga_id).version == version
    act(shop, saga_id, verb, expected_version=version, **rest)


def test_a_saga_that_is_not_there(shop):
    with pytest.raises(SagaNotFound):
        act(shop, "nothing", "cancel", reason="x")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SagaNotFound("x"), 404),
        (InputRejected("x"), 400),
        (Refused("x"), 409),
        (StaleVersion("x"), 409),
        (EventConflict("x"), 409),
        (StoreUnavailable("x"), 503),
        (NotConfigured("x"), 500),
    ],
)
def test_errors_have_a_status_and_a_stable_code(error, status):
    found = console.problem(error)
    assert (found.status, found.body) == (status, {"error": error.code, "message": "x"})
