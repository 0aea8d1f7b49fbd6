"""What is hidden from people, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from saga_celery.core.events import StepFailed, StepSucceeded
from saga_celery.core.states import (
    Activity,
    DeadLetter,
    Failure,
    Message,
    Reason,
    SagaState,
    Slot,
    StepState,
    StepStatus,
)
from saga_celery.engine.redaction import CUT, HIDDEN, NOTHING_HIDDEN, Redaction
from saga_celery.settings import REDACTED

REDACTION = Redaction(REDACTED)


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "Password",
        "userPassword",
        "PASSWORD_HASH",
        "card",
        "cardNumber",
        "CREDIT-CARD",
        "cards",
        "api_key",
        "apiKey",
        "X-API-Key",
        "apikey",
        "accessToken",
        "HTTPAuthorization",
        "set-cookie",
        "client secret",
    ],
)
def test_names_that_are_hidden(name: str) -> None:
    assert REDACTION.hides(name)
    assert REDACTION.value({name: "4111"}) == {name: HIDDEN}


@pytest.mark.parametrize(
    "name", ["discard", "cardinality", "key", "keyboard", "tokenizer", "pinned", "span", "", "7", "é"]
)
def test_names_that_only_look_like_it(name: str) -> None:
    assert not REDACTION.hides(name)


def test_nothing_of_the_value_itself_is_changed() -> None:
    data = {"user": {"name": "Joe", "password": "tea"}, "cards": [1, 2], "list": [{"token": None, "pin": 0}, (1, "x")]}
    shown = REDACTION.value(data)

    assert shown == {
        "user": {"name": "Joe", "password": HIDDEN},
        "cards": HIDDEN,
        "list": [{"token": None, "pin": HIDDEN}, (1, "x")],
    }
    assert data["user"] == {"name": "Joe", "password": "tea"}
    assert REDACTION.value({"detail": "pin=1234", "other": "pin=1234", "message": 7}) == {
        "detail": "pin=***",
        "other": "pin=1234",
        "message": 7,
    }


def test_a_walk_may_be_cut_short() -> None:
    assert REDACTION.value([[1, 2], [3, 4]], most=4) == [[1, 2]]
    assert REDACTION.value({"a": 1}, most=0) == CUT
    assert REDACTION.value({"password": "tea", "b": 2, "c": 3}, most=2) == {"password": HIDDEN, "b": 2}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password=tea&name=joe", "password=***&name=joe"),
        ("{'card_number': '41 11', 'n': 1}", "{'card_number': ***, 'n': 1}"),
        ('{"token": "a\\"b", "n": 1}', '{"token": ***, "n": 1}'),
        ("Authorization: Bearer abcdef.123456", "Authorization: Bearer ***"),
        ("billing.CardDeclined: over the limit", "billing.CardDeclined: over the limit"),
        ("KeyError: 'token'", "KeyError: 'token'"),
        ("amount=5 pin=1234, done", "amount=5 pin=***, done"),
    ],
)
def test_texts_lose_what_looks_like_a_named_value(text: str, shown: str) -> None:
    assert REDACTION.text(text) == shown
    assert NOTHING_HIDDEN.text(text) == text


def test_records_keep_their_types() -> None:
    failure = Failure(type="CardDeclined", message="pin=1234 is wrong", traceback="…\npin=1234")
    step = StepState(
        name="charge",
        status=StepStatus.FAILED,
        result={"pin": 1234},
        action=Activity(message=Message(task="t", args=({"pin": 1},), kwargs={"card": "4111"}), failure=failure),
    )
    letter = DeadLetter(step="charge", reason=Reason.IN_DOUBT, detail="pin=1234")
    state = SagaState(
        id="s1", name="shop", plan_hash="h", input={"pin": 1234}, steps={("charge", 0): step}, letters=(letter,)
    )
    shown = REDACTION.record(state)

    assert "1234" not in repr(shown)
    assert "4111" not in repr(shown)
    assert shown.letters[0].reason is Reason.IN_DOUBT
    assert shown.steps[("charge", 0)].action.message.args == ({"pin": HIDDEN},)
    assert "1234" in repr(state)
    fact = StepFailed(slot=Slot("charge"), failure=failure)
    assert REDACTION.record(fact).slot == Slot("charge")
    assert REDACTION.record(fact).failure.message == "pin=*** is wrong"


def test_what_has_nothing_to_hide_is_given_back_as_it_is() -> None:
    fact = StepSucceeded(slot=Slot("charge"), attempt=1, result=7)
    assert REDACTION.record(fact) is fact
    assert REDACTION.record("password=tea") == "password=tea"


def test_values_are_opened_before_they_are_redacted() -> None:
    def opener(value: Any) -> Any:
        return {"pin": 1234, "n": 1} if value == {"closed": True} else value

    fact = StepSucceeded(slot=Slot("charge"), attempt=1, result={"closed": True})
    assert REDACTION.record(fact, opener).result == {"pin": HIDDEN, "n": 1}


def test_names_that_come_from_data_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saga_celery.engine.redaction._KNOWN", 1)
    redaction = Redaction(["pin"])
    assert [redaction.hides(name) for name in ("pin", "pan", "pin", "pan")] == [True, False, True, False]
    assert len(redaction._hidden) == 1


PARAMETERS = {"pay": ("card", "cents"), "note": ("text", "password")}
NAMED = Redaction(REDACTED, PARAMETERS.__getitem__)


def test_arguments_by_position_are_hidden_by_the_names_of_their_parameters() -> None:
    message = Message(task="pay", args=("4111", 7, "one too many"))
    assert NAMED.record(message).args == (HIDDEN, 7, "one too many")
    assert NAMED.record(Message(task="note", args=("hello",))).args == ("hello",)
    assert NAMED.arguments("note", (None, "pw")) == (None, HIDDEN)


@pytest.mark.parametrize(("takes", "shown"), [("nothing", "hello"), ("previous", HIDDEN)])
def test_in_plain_data_too_where_what_a_part_takes_stands_in_front(takes: str, shown: str) -> None:
    part = {"takes": takes, "message": {"task": "note", "args": ["hello"]}}
    assert NAMED.value({"parts": [part]})["parts"][0]["message"]["args"] == [shown]
