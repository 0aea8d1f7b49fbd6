from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from celery.canvas import Signature

from saga_celery.core.events import AttemptFailed, ProbeAnswered, Verdict
from saga_celery.core.states import Direction, Slot
from saga_celery.definition import NEVER, UNKNOWN, Finding, Found, Saga, step
from saga_celery.definition.outcomes import interpret_probe
from saga_celery.errors import UnknownSaga
from tests.definition.shop import OrderSaga
from tests.definition.states import state_of

ORDER = {"order_id": 7, "cents": 500}
PROBE = Slot("charge", 0, Direction.PROBE)


@dataclass
class Answer:
    seen: bool
    sure: bool


class Judged(Saga[int]):
    name = "t.judged"

    @step(no_compensation="x")
    def a(self, n: int) -> Signature[int | None]: ...

    @a.probe
    def ask(self, n: int) -> Signature[Answer]: ...

    @a.found
    def judge(self, n: int, answer: Answer) -> Finding[int | None]:
        if not answer.sure:
            return UNKNOWN
        return Found(None if n == 1 else n) if answer.seen else NEVER


def test_a_value_adopts_and_none_means_never():
    state = state_of(OrderSaga, ORDER)

    assert interpret_probe(state, PROBE, 2, {"id": "c"}) == ProbeAnswered(
        slot=PROBE, attempt=2, verdict=Verdict.FOUND, result={"id": "c"}
    )
    assert interpret_probe(state, PROBE, 2, None) == ProbeAnswered(slot=PROBE, attempt=2, verdict=Verdict.NEVER)


def test_an_answer_that_is_no_result_is_asked_for_again():
    news = interpret_probe(state_of(OrderSaga, ORDER), PROBE, 2, {"ident": "c"})

    assert isinstance(news, AttemptFailed)
    assert news.failure.message == "OrderSaga.find_charge: the answer does not fit Charge: id: Field required"
    assert '"c"' not in news.failure.traceback


@pytest.mark.parametrize(
    ("data", "answer", "verdict", "result"),
    [
        (1, {"seen": True, "sure": True}, Verdict.FOUND, None),
        (5, {"seen": True, "sure": True}, Verdict.FOUND, 5),
        (1, {"seen": False, "sure": True}, Verdict.NEVER, None),
        (1, {"seen": False, "sure": False}, Verdict.UNKNOWN, None),
    ],
)
def test_found_judges_the_answer(data: int, answer: dict[str, bool], verdict: Verdict, result: Any):
    slot = Slot("a", 0, Direction.PROBE)

    assert interpret_probe(state_of(Judged, data), slot, 1, answer) == ProbeAnswered(
        slot=slot, attempt=1, verdict=verdict, result=result
    )


def test_a_judge_that_says_something_else_has_failed():
    class Odd(Saga[int]):
        name = "t.odd"

        @step(no_compensation="x")
        def a(self, n: int) -> Signature[int]: ...

        @a.probe
        def ask(self, n: int) -> Signature[int]: ...

        @a.found
        def judge(self, n: int, answer: int) -> Finding[int]:
            return None if answer else Found("x")  # type: ignore[return-value, arg-type]

    slot = Slot("a", 0, Direction.PROBE)
    odd = interpret_probe(state_of(Odd, 1), slot, 1, 1)
    assert isinstance(odd, AttemptFailed)
    assert odd.failure.message.endswith("judge returned None; return Found(result), NEVER or UNKNOWN")
    assert isinstance(interpret_probe(state_of(Odd, 1), slot, 1, 0), AttemptFailed), "what was found is no int"


def test_a_probe_that_the_class_lost():
    news = interpret_probe(state_of(OrderSaga, ORDER), Slot("ship", 0, Direction.PROBE), 1, 1)

    assert isinstance(news, AttemptFailed)
    assert "has no probe any more" in news.failure.message


def test_probes_of_unknown_sagas_are_for_others(own_registry: None):
    from saga_celery.definition import registry

    state = state_of(OrderSaga, ORDER)
    registry._sagas.clear()

    with pytest.raises(UnknownSaga):
        interpret_probe(state, PROBE, 1, None)
