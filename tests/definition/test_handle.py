from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from celery.canvas import Signature
from pydantic import BaseModel

from saga_celery.core.events import OperatorAsked, Resolution, SagaStarted, Verb
from saga_celery.core.moves import Move
from saga_celery.core.states import DeadLetter, Reason, SagaStatus, Turn, TurnKind
from saga_celery.definition import (
    HistoryEntry,
    Saga,
    Snapshot,
    Started,
    StartItem,
    StartRequest,
    bind_desk,
    current_desk,
    registry,
    step,
)
from saga_celery.definition import desk as desk_module
from saga_celery.definition.inputs import encode
from saga_celery.definition.shapes import Shape
from saga_celery.engine.admission import Terms
from saga_celery.errors import (
    InputRejected,
    NotConfigured,
    SagaCompensated,
    SagaFailed,
    SagaNotFound,
    SagaUnfinished,
    UnknownSaga,
)
from saga_celery.settings import Settings
from tests.definition.shop import Line, Order, OrderSaga

ORDER = Order(order_id=7, cents=500, lines=[Line(sku="tea")], nickName="Joe")
RUNNING = Snapshot(id="s1", name="shop.order", state=SagaStatus.RUNNING)


class PaperDesk:
    """Takes everything down and answers with `snapshot_now`."""

    def __init__(self) -> None:
        self.settings = Settings(payload_limit=500)
        self.started: list[StartRequest] = []
        self.how: dict[str, Any] = {}
        self.asked: list[OperatorAsked] = []
        self.snapshot_now = RUNNING

    def start(self, requests: Sequence[StartRequest], **how: Any) -> list[Started]:
        self.started += requests
        self.how = how
        return [Started(id=f"s{number}", created=True) for number, _ in enumerate(requests, 1)]

    def snapshot(self, saga_id_or_key: str, name: str | None = None) -> Snapshot:
        return self.snapshot_now

    def history(self, saga_id: str) -> list[HistoryEntry]:
        return [HistoryEntry(version=1, at=datetime(2026, 1, 1, tzinfo=UTC), facts=(SagaStarted(),))]

    def joins(self, session: Any, connection: Any) -> bool:
        return session is not None or connection is not None

    def operate(self, saga_id: str, asked: OperatorAsked) -> SagaStatus:
        self.asked.append(asked)
        return SagaStatus.COMPENSATING

    def wait(self, saga_id: str, timeout: float | None) -> SagaStatus:
        return self.snapshot_now.state

    async def wait_async(self, saga_id: str, timeout: float | None) -> SagaStatus:
        return self.snapshot_now.state


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> PaperDesk:
    monkeypatch.setattr(desk_module, "_bound", [])
    made = PaperDesk()
    bind_desk(made)
    return made


def test_start_hands_checked_plain_data_to_the_desk(desk: PaperDesk):
    handle = OrderSaga.start(
        ORDER, key="order-7", tags={"order": 7}, headers={"traceparent": "00"}, session="a session"
    )

    assert (handle.id, handle.created) == ("s1", True)
    assert desk.started == [
        StartRequest(
            plan=OrderSaga.definition().plan,
            input={"order_id": 7, "cents": 500, "lines": [{"sku": "tea", "price": 1.0}], "nickName": "Joe"},
            key="order-7",
            tags={"order": "7"},
            headers={"traceparent": "00"},
            timeout=3600.0,
        )
    ]
    assert desk.how == {"if_exists": "return", "session": "a session", "connection": None}


def test_start_many_takes_inputs_and_items(desk: PaperDesk):
    handles = OrderSaga.start_many([ORDER, StartItem(ORDER, key="k")], if_exists="raise", timeout=timedelta(minutes=1))

    assert [handle.id for handle in handles] == ["s1", "s2"]
    assert [(request.key, request.timeout) for request in desk.started] == [(None, 60.0), ("k", 60.0)]


def test_a_dict_that_a_model_can_be_read_from_is_accepted(desk: PaperDesk):
    OrderSaga.start({"order_id": 7, "cents": 5})  # type: ignore[arg-type]

    assert desk.started[0].input == {"order_id": 7, "cents": 5, "lines": [], "nickName": ""}, "defaults are stored"


BAD_STARTS = [
    ({"data": 3}, "the input of OrderSaga is no Order: Input should be an object"),
    ({"data": {"order_id": "7", "cents": 5}}, "is no Order: order_id: Input should be a valid integer"),
    ({"data": Line(sku="x")}, "is no Order: Input should be"),
    ({"data": ORDER.model_copy(update={"nick": "x" * 600})}, "bytes of JSON; saga_payload_limit allows 500"),
    ({"data": {"order_id": 7, "cents": 5, "lines": [{"sku": "x", "price": float("nan")}]}}, "no plain JSON"),
    (
        {"data": ORDER.model_copy(update={"cents": float("inf")})},
        "no plain JSON: it holds inf, which JSON does not have",
    ),
    ({"data": {"order_id": 7, "cents": 5, "nickName": "\ud800"}}, "the input of OrderSaga is no"),
    ({"key": ""}, "OrderSaga: key=''; a key is printable text of 1 to 200 characters"),
    ({"key": "a\x00b"}, "a key is printable text"),
    ({"key": "x" * 201}, "a key is printable text"),
    ({"key": 7}, "OrderSaga: key=7; a key is printable text"),
    ({"tags": {"a": ""}}, "tag 'a'=''; names and values of tags are printable text"),
    ({"tags": {f"t{n}": n for n in range(21)}}, "OrderSaga: 21 tags; a saga has 20 at most"),
    ({"headers": {"a": 1}}, "header 'a'=1; headers are text"),
    ({"timeout": timedelta(0)}, "OrderSaga: timeout=datetime.timedelta(0); a deadline lies in the future"),
]


@pytest.mark.parametrize(("given", "message"), BAD_STARTS, ids=range(len(BAD_STARTS)))
def test_what_does_not_fit_is_rejected_before_anything_is_stored(desk: PaperDesk, given: dict[str, Any], message: str):
    with pytest.raises(InputRejected) as caught:
        OrderSaga.start(**{"data": ORDER, **given})

    assert message in str(caught.value)
    assert desk.started == []


class Node(BaseModel):
    next: Any = None


def in_a_circle(*, length: int = 1) -> list[Any]:
    """A list whose innermost list is itself."""
    first: list[Any] = []
    last = first
    for _ in range(length - 1):
        last.append([])
        last = last[0]
    last.append(first)
    return first


def nested(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


def node_in_a_circle() -> Node:
    node = Node()
    node.next = {"back": [node]}
    return node


UNWRITABLE = [
    (list, in_a_circle(), "no plain JSON: [0] is a part of itself; pass ids"),
    (list, [1, in_a_circle(length=3)], "no plain JSON: [1][0][0][0] is a part of itself"),
    (dict[str, Any], {"order": node_in_a_circle()}, "no plain JSON: order.next.back[0] is a part of itself"),
    (Node, node_in_a_circle(), "no plain JSON: next.back[0] is a part of itself"),
    (list[list], in_a_circle(), "[0] is a part of itself"),
    (list, in_a_circle(length=400), "no plain JSON: it nests deeper than 32 levels"),
    (list, nested(33), "nests deeper than 32 levels"),
    (Any, nested(5_000), "no plain JSON: it nests deeper than 32 levels"),
    (bytes, b"\xff", "no plain JSON: the value has bytes that are no UTF-8 text; pass them as text, such as base64"),
    (Node, Node(next=[b"tea", b"\xff"]), "no plain JSON: next[1] has bytes that are no UTF-8 text"),
]


@pytest.mark.parametrize(("kind", "value", "message"), UNWRITABLE, ids=range(len(UNWRITABLE)))
def test_what_can_not_be_written_is_rejected_and_named(kind: Any, value: Any, message: str):
    with pytest.raises(InputRejected) as caught:
        encode(Shape(kind, {}), value, "the input", 1000)

    assert message in str(caught.value)


def test_what_stands_in_two_places_is_no_circle():
    line = {"sku": "tea"}
    plain = encode(Shape(list[Any], {}), [line, line, [line]], "the input", 1000)

    assert plain == [line, line, [line]]
    with pytest.raises(InputRejected, match=r"\[2\] has bytes"):
        encode(Shape(list[Any], {}), [line, line, b"\xff"], "the input", 1000)


def test_inputs_of_many_types_survive_the_way_to_json_and_back(desk: PaperDesk):
    @dataclass
    class Trip:
        day: date
        price: Decimal
        stops: tuple[str, ...]
        extras: set[str]

    class TripSaga(Saga[Trip, Decimal]):
        name = "t.trip"

        @step(no_compensation="x")
        def a(self, trip: Trip) -> Signature[None]: ...

        def result(self, trip: Trip) -> Decimal:
            return trip.price

    trip = Trip(date(2026, 1, 2), Decimal("9.90"), ("a", "b"), {"x"})
    handle = TripSaga.start(trip)
    assert desk.started[0].input == {"day": "2026-01-02", "price": "9.90", "stops": ["a", "b"], "extras": ["x"]}
    assert TripSaga.definition().input.decode(desk.started[0].input) == trip
    TripSaga.start({"day": "2026-01-02", "price": "9.90", "stops": [], "extras": []})  # type: ignore[arg-type]

    desk.snapshot_now = replace(RUNNING, name="t.trip", state=SagaStatus.COMPLETED, result="9.90")
    assert handle.result(timeout=1) == Decimal("9.90")


def test_get_finds_sagas_of_its_own_class_only(desk: PaperDesk):
    assert OrderSaga.get("s1").state is SagaStatus.RUNNING
    assert repr(OrderSaga.get("s1")) == "<saga shop.order s1>"
    assert OrderSaga.get("s1").history()[0].version == 1

    desk.snapshot_now = replace(RUNNING, name="travel.trip")
    with pytest.raises(SagaNotFound, match=r"saga s1 is a travel\.trip, no shop\.order"):
        OrderSaga.get("s1")


def test_waiting_ends_with_the_saga_or_with_the_time(desk: PaperDesk):
    handle = OrderSaga.start(ORDER)
    with pytest.raises(SagaUnfinished, match=r"saga shop\.order s1 is still RUNNING after 0\.5 seconds"):
        handle.wait(timeout=0.5)
    with pytest.raises(SagaUnfinished):
        handle.result(timeout=0.5)

    desk.snapshot_now = replace(RUNNING, state=SagaStatus.COMPLETED, result="s1")
    assert handle.wait() is SagaStatus.COMPLETED
    assert handle.result() == "s1"


def test_waiting_in_a_coroutine_ends_like_any_other(desk: PaperDesk):
    handle = OrderSaga.start(ORDER)
    for late in (handle.wait_async(timeout=0.5), handle.result_async(timeout=0.5)):
        with pytest.raises(SagaUnfinished, match=r"saga shop\.order s1 is still RUNNING after 0\.5 seconds"):
            asyncio.run(late)

    desk.snapshot_now = replace(RUNNING, state=SagaStatus.COMPLETED, result="s1")
    assert asyncio.run(handle.wait_async()) is SagaStatus.COMPLETED
    assert asyncio.run(handle.result_async()) == "s1"

    desk.snapshot_now = replace(RUNNING, state=SagaStatus.COMPENSATED)
    with pytest.raises(SagaCompensated, match="no cause is known"):
        asyncio.run(handle.result_async())


def test_a_saga_that_an_operator_set_going_again_meanwhile_is_unfinished(desk: PaperDesk):
    handle = OrderSaga.start(ORDER)
    desk.wait = lambda saga_id, timeout: SagaStatus.FAILED  # type: ignore[method-assign]
    with pytest.raises(SagaUnfinished, match="had ended, but an operator set it going again: it is RUNNING; wait once"):
        handle.result()


def test_result_says_why_there_is_none(desk: PaperDesk):
    handle = OrderSaga.start(ORDER)
    turn = Turn(kind=TurnKind.FAILURE, reason="CardDeclined: no money", step="charge")
    desk.snapshot_now = replace(RUNNING, state=SagaStatus.COMPENSATED, turn=turn)
    with pytest.raises(SagaCompensated, match="was undone: step 'charge' failed: CardDeclined: no money"):
        handle.result()

    letter = DeadLetter(step="ship", reason=Reason.IN_DOUBT, detail="worker died")
    desk.snapshot_now = replace(
        RUNNING, state=SagaStatus.FAILED, letters=(letter,), moves=((Move("resolve", "done"),),)
    )
    with pytest.raises(SagaFailed, match=r"waits: ship, in_doubt: worker died\n    next: .* resolve s1 --step ship"):
        handle.result()


def test_operators_verbs_are_passed_on(desk: PaperDesk):
    handle = OrderSaga.start(ORDER)

    assert handle.cancel(reason="r", actor="me") is SagaStatus.COMPENSATING
    handle.retry("ship", reason="r")
    handle.skip("ship", reason="r", result=3)
    handle.resolve("ship", resolution=Resolution.DONE, reason="r", result="s")

    handle.suspend(reason="r")
    handle.resume(reason="r")
    handle.compensate(reason="r")
    handle.rerun("ship", reason="r")

    assert [(asked.verb, asked.step, asked.actor) for asked in desk.asked] == [
        (Verb.CANCEL, "", "me"),
        (Verb.RETRY, "ship", "code"),
        (Verb.SKIP, "ship", "code"),
        (Verb.RESOLVE, "ship", "code"),
        (Verb.SUSPEND, "", "code"),
        (Verb.RESUME, "", "code"),
        (Verb.COMPENSATE, "", "code"),
        (Verb.RERUN, "ship", "code"),
    ]
    assert desk.asked[3].resolution is Resolution.DONE
    assert [asked.result for asked in desk.asked[:4]] == [None, None, 3, "s"]
    assert {(asked.args, asked.kwargs, asked.version) for asked in desk.asked} == {(None, None, None)}


def test_what_became_of_a_step_may_be_said_as_text(desk: PaperDesk):
    handle = OrderSaga.start(ORDER)
    handle.resolve("ship", resolution="never", reason="r")
    handle.resolve("ship", resolution="done", reason="r")
    assert [asked.resolution for asked in desk.asked] == [Resolution.NEVER, Resolution.DONE]
    with pytest.raises(InputRejected, match=r"resolution='bogus'; it is one of 'done', 'never'"):
        handle.resolve("ship", resolution="bogus", reason="r")


def test_a_retry_may_bring_other_arguments(desk: PaperDesk):
    OrderSaga.start(ORDER).retry("ship", reason="r", args=[1, 2], kwargs={"cents": 5})

    assert (desk.asked[0].args, desk.asked[0].kwargs) == ((1, 2), {"cents": 5})


def test_every_verb_may_name_the_version_that_was_looked_at(desk: PaperDesk):
    handle = OrderSaga.start(ORDER)
    for verb in (handle.cancel, handle.suspend, handle.resume, handle.compensate):
        verb(reason="r", version=7)
    for verb in (handle.retry, handle.skip, handle.resolve, handle.rerun):
        verb("ship", reason="r", version=7)

    assert [asked.version for asked in desk.asked] == [7] * len(Verb)


def test_without_an_app_the_missing_line_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(desk_module, "_bound", [])

    with pytest.raises(NotConfigured, match=r"add `SagaApp\(celery_app\)` below the line that makes the Celery app"):
        current_desk()


def test_an_unknown_name_brings_a_hint():
    with pytest.raises(
        UnknownSaga, match=r"did you mean 'shop\.order'\? Is its module imported\? Add it to `include=`"
    ):
        registry.find("shop.ordre")
    with pytest.raises(UnknownSaga, match="in this process: Is its module imported"):
        registry.find("zzzzz")


def test_the_registry_tells_what_it_has():
    plan = OrderSaga.definition().plan

    assert registry.registered()["shop.order"] is OrderSaga
    assert registry.is_registered("shop.order")
    assert registry.has_plan("shop.order", plan.hash)
    assert not registry.has_plan("shop.order", "other")
    assert not registry.has_plan("other", plan.hash)


def test_a_saga_class_has_no_instances_of_its_own():
    with pytest.raises(ValueError, match=r"OrderSaga has no instances of its own"):
        OrderSaga().key()
    with pytest.raises(ValueError, match="Saga is no saga of its own; subclass it"):
        Saga.definition()
    assert repr(OrderSaga.charge) == "<step OrderSaga.charge>"


# --------------------------------------------------------------------------------------------------------------- terms

LATER = datetime(2030, 1, 1, tzinfo=UTC)


def test_the_terms_of_a_start_are_handed_to_the_desk(desk: PaperDesk):
    OrderSaga.start(ORDER, lock="order-7", if_locked="raise", priority=7)
    OrderSaga.start(ORDER, at=LATER)
    OrderSaga.start_many([StartItem(ORDER, lock="order-8", delay=timedelta(minutes=1)), ORDER])
    assert [request.terms for request in desk.started] == [
        Terms(lock="order-7", refuse=True),
        Terms(at=LATER),
        Terms(lock="order-8", delay=60.0),
        Terms(),
    ]
    assert [request.priority for request in desk.started] == [7, None, None, None]


@pytest.mark.parametrize(
    ("terms", "complaint"),
    [
        ({"lock": ""}, "lock=''; a lock is printable text of 1 to 200 characters"),
        ({"lock": "x" * 201}, "a lock is printable text"),
        ({"lock": 7}, "lock=7; a lock is printable text"),
        ({"if_locked": "wait"}, "if_locked='wait'; it is one of 'queue', 'raise'"),
        ({"if_locked": "raise", "lock": "a", "delay": timedelta(1)}, "nobody knows now who will hold the lock then"),
        ({"if_locked": "raise", "lock": "a", "at": LATER}, "nobody knows now"),
        ({"at": LATER, "delay": timedelta(1)}, "at= and delay= are two ways to say when"),
        ({"at": datetime(2030, 1, 1)}, "write a datetime with a time zone"),
        ({"at": "tomorrow"}, "write a datetime with a time zone"),
        ({"delay": 5}, "delay=5; write a timedelta of up to 3660 days"),
        ({"delay": -timedelta(1)}, "write a timedelta"),
        ({"delay": timedelta(3661)}, "write a timedelta"),
        ({"priority": 256}, "priority=256; it is a whole number from 0 to 255"),
        ({"priority": -1}, "priority=-1"),
        ({"priority": True}, "priority=True"),
        ({"priority": "high"}, "priority='high'"),
    ],
)
def test_terms_that_do_not_fit_are_refused_with_what_to_write(desk: PaperDesk, terms: dict[str, Any], complaint: str):
    with pytest.raises(InputRejected, match=re.escape(complaint)):
        OrderSaga.start(ORDER, **terms)
    assert desk.started == []
