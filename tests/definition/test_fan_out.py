"""A step that returns a list: what is rendered for it, what each item gets, and which lists are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from celery.canvas import Signature
from pydantic import BaseModel

from saga_celery.core.commands import Render
from saga_celery.core.events import FanOutRendered, News, RenderAborted, Rendered, RenderFailed
from saga_celery.core.states import Direction, Message, SagaState, SagaStatus, Slot, StepState, StepStatus
from saga_celery.definition import SKIP, Abort, Retry, Saga, Skip, step
from saga_celery.definition.ahead import ahead
from saga_celery.definition.keys import slot_key
from saga_celery.definition.mermaid import graph
from saga_celery.definition.renderer import ClassRenderer
from saga_celery.errors import DefinitionError
from saga_celery.settings import Settings
from saga_celery.testing import run_inline
from tests.definition import refusals
from tests.definition.states import SAGA_ID, state_of

UNDO = Direction.COMPENSATION
free = partial(step, no_compensation="x")


class Line(BaseModel):
    sku: str
    quantity: int = 1


class Held(BaseModel):
    id: str


class Basket(Saga[list[Line], str]):
    name = "t.basket"

    @step(limit=2, retry=Retry(attempts=1))
    def reserve(self, lines: list[Line]) -> list[Signature[Held]]:
        return [self.task("hold", line.sku, line.quantity, key=self.key(line.sku)) for line in lines]

    @reserve.compensate
    def release(self, lines: list[Line], reserve: Held) -> Signature[None]:
        return self.task("free", reserve.id, key=self.key())

    @step(idempotent=True, pivot=True)
    def charge(self, lines: list[Line], reserve: list[Held]) -> Signature[int]:
        return self.task("charge", [each.id for each in reserve])

    def result(self, lines: list[Line], reserve: list[Held]) -> str:
        return " ".join(each.id for each in reserve)


LINES = [{"sku": "tea", "quantity": 2}, {"sku": "jam", "quantity": 1}]


def render(saga: type[Saga[Any, Any]], state: SagaState, slot: Slot) -> News | None:
    return ClassRenderer(Settings()).render(saga.definition().plan, state, Render(slot=slot))


def answering(answer: Callable[[Any], Any], **options: Any) -> type[Saga[Any, Any]]:
    class Answering(Saga[int]):
        name = "t.answering_list"

        @free(**options)
        def a(self, n: int) -> list[Signature[Any]] | Skip:
            return answer(self)

        @free()
        def b(self, n: int) -> Signature[Any]:
            return self.task("b", self.key_of("a"))

    return Answering


def messages(answer: Callable[[Any], Any], **options: Any) -> FanOutRendered:
    saga = answering(answer, **options)
    news = render(saga, state_of(saga, 1), Slot("a"))
    assert isinstance(news, FanOutRendered), news
    return news


def refusal(saga: type[Saga[Any, Any]], slot: Slot, state: SagaState | None = None) -> str:
    news = render(saga, state or state_of(saga, 1), slot)
    assert isinstance(news, RenderFailed), news
    return news.failure.message


# ------------------------------------------------------------------------------------------------------------ rendered


def test_each_item_has_a_message_and_a_key_of_its_own():
    news = render(Basket, state_of(Basket, LINES), Slot("reserve"))
    assert isinstance(news, FanOutRendered)
    keys = [f"{SAGA_ID}:reserve:0:1:action:{sku}" for sku in ("tea", "jam")]
    assert news.messages == (
        Message(task="hold", args=("tea", 2), kwargs={"key": keys[0]}),
        Message(task="hold", args=("jam", 1), kwargs={"key": keys[1]}),
    )
    assert (news.policy.limit, news.policy.resend, news.policy.needs_result) == (2, True, True)


def test_a_list_without_keys_is_not_safe_to_run_twice():
    news = messages(lambda saga: [saga.task("t", n) for n in range(3)])
    assert [message.args for message in news.messages] == [(0,), (1,), (2,)]
    assert (news.policy.resend, news.policy.limit) == (False, None)


def test_an_empty_list_is_a_list():
    assert messages(lambda saga: []).messages == ()


def test_a_list_may_be_skipped_or_aborted():
    saga = answering(lambda saga: SKIP)
    assert isinstance(found := render(saga, state_of(saga, 1), Slot("a")), Rendered)
    assert found.message is None

    def abort(saga: Any) -> Any:
        raise Abort("no")

    saga = answering(abort)
    assert render(saga, state_of(saga, 1), Slot("a")) == RenderAborted(slot=Slot("a"), reason="no")


def fanned_out(**results: Any) -> SagaState:
    """A basket of which two items were stored."""
    state = state_of(Basket, LINES)
    fan = StepState(name="reserve", status=StepStatus.FANNED_OUT, items=2)
    items = {("reserve", n): StepState(name="reserve", item=n, status=StepStatus.DISPATCHED) for n in (1, 2)}
    return replace(state, steps={("reserve", 0): fan, **items})


def test_the_compensation_of_an_item_gets_its_result_and_has_a_key_of_its_own():
    state = fanned_out()
    done = StepState(name="reserve", item=2, status=StepStatus.SUCCEEDED, result={"id": "h2"})
    state = replace(state, steps={**state.steps, ("reserve", 2): done})
    news = render(Basket, state, Slot("reserve", 2, UNDO))
    assert isinstance(news, Rendered)
    key = f"{SAGA_ID}:reserve:2:1:compensation"
    assert news.message == Message(task="free", args=("h2",), kwargs={"key": key})


def test_an_item_that_is_run_again_has_a_new_key():
    news = render(Basket, fanned_out(), Slot("reserve", 2, generation=2))
    assert isinstance(news, Rendered)
    key = f"{SAGA_ID}:reserve:0:2:action:jam"
    assert news.message == Message(task="hold", args=("jam", 1), kwargs={"key": key})


def test_an_item_of_a_list_that_has_another_length_now_can_not_be_told():
    state = replace(fanned_out(), input=LINES[:1])
    assert "returned 1 items, but 2 when it was asked first" in refusal(Basket, Slot("reserve", 2), state)


def test_what_an_open_list_has_yet_to_render():
    state = replace(fanned_out(), status=SagaStatus.RUNNING)
    found = [(each.step, each.direction.value) for each in ahead(Basket.definition().plan, state)]
    assert found == [("reserve", "compensation"), ("charge", "action"), ("", "action")]


def test_keys_of_many_items_differ_also_where_they_are_long():
    slot = Slot("a" * 100)
    assert len({slot_key(SAGA_ID, slot, "x" * 200 + str(n)) for n in range(50)}) == 50
    assert slot_key(SAGA_ID, slot) != slot_key(SAGA_ID, slot, "")


# ------------------------------------------------------------------------------------------------------------- refused

REFUSED: list[tuple[Callable[[Any], Any], str]] = [
    (
        lambda saga: saga.task("t"),
        "a returned a Signature, but is annotated `-> list[Signature[…]]`: return a list",
    ),
    (lambda saga: None, "a returned a NoneType, but is annotated"),
    (lambda saga: [saga.task("t"), 7], "a, item 2, returned a int; return the signature to run"),
    (
        lambda saga: [saga.task("t", saga.key())],
        "a: self.key() would be the same for all items; say which one is meant",
    ),
    (lambda saga: [saga.task("t", saga.key(1.5))], "self.key(1.5): say by a text or a number which item is meant"),
    (
        lambda saga: [saga.task("t", saga.key(sku)) for sku in ("tea", "jam", "tea")],
        "a: items 1 and 3 carry the same key; give self.key(…) what tells them apart",
    ),
    (
        lambda saga: [saga.task("t", saga.key("tea")), saga.task("t", saga.key("jam")), saga.task("t")],
        "a: item 3 carries no key, though others do",
    ),
    (
        lambda saga: [saga.task("t", hash(saga.key("tea")), n) for n in range(2)],
        "a returned 2 items, but asked for 1 different keys",
    ),
    (lambda saga: [saga.task("t", x={"deep": [{"key": saga.key(1)}]}), saga.task("t", saga.key("1"))], "items 1 and 2"),
]


@pytest.mark.parametrize(("answer", "message"), REFUSED, ids=range(len(REFUSED)))
def test_a_list_that_can_not_be_run_is_refused(answer: Callable[[Any], Any], message: str):
    assert message in refusal(answering(answer), Slot("a"))


def test_the_key_of_a_list_is_nobodys():
    assert "key_of('a'): it is a fan-out" in refusal(answering(lambda saga: []), Slot("b"))


def test_a_list_without_the_annotation_is_refused():
    class Single(Saga[int]):
        name = "t.single"

        @free()
        def a(self, n: int) -> Signature[int]:
            return [self.task("t")]  # type: ignore[return-value]

    assert "to run a list, annotate the step `-> list[Signature[X]]`" in refusal(Single, Slot("a"))


# -------------------------------------------------------------------------------------------------------------- inline


def test_a_whole_saga_inline():
    done = run_inline(
        Basket,
        [Line(sku="tea"), Line(sku="jam"), Line(sku="ham")],
        tasks={"hold": lambda sku, quantity, key: {"id": f"h-{sku}"}, "charge": lambda ids: len(ids)},
    )
    assert (done.state, done.result) == (SagaStatus.COMPLETED, "h-tea h-jam h-ham")
    assert done.calls[:3] == (("reserve[1]", "hold"), ("reserve[2]", "hold"), ("reserve[3]", "hold"))
    assert done.stored.steps[("reserve", 0)].items == 3


def test_a_saga_inline_that_turns_round():
    freed: list[str] = []

    def hold(sku: str, quantity: int, key: str) -> dict[str, str]:
        if sku == "ham":
            raise ValueError("no ham")
        return {"id": f"h-{sku}"}

    done = run_inline(
        Basket,
        [Line(sku=sku) for sku in ("tea", "jam", "ham", "oil", "egg")],
        tasks={"hold": hold, "free": lambda held, key: freed.append(held)},
    )
    assert done.state is SagaStatus.COMPENSATED
    assert sorted(freed) == ["h-jam", "h-oil", "h-tea"]
    assert done.stored.steps[("reserve", 5)].status is StepStatus.CANCELLED


# ---------------------------------------------------------------------------------------------------------- at import

CASES: list[tuple[Callable[[], object], str]] = []
wrong = refusals.into(CASES)


@wrong("Bad.a: returns a list and is the pivot; half of a list is no point of no return")
def pivot():
    class Bad(Saga[int]):
        name = "t.bad"

        @step(pivot=True)
        def a(self, n: int) -> list[Signature[int]]: ...


@wrong("Bad.find: is the probe of 'a', which returns a list; probes of lists are not supported: drop it")
def probe():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> list[Signature[int]]: ...

        @a.probe
        def find(self, n: int) -> Signature[int]: ...


@wrong("Bad.undo: returns a list; only a step can. What undoes 'a' is called once for each of its items")
def list_of_compensations():
    class Bad(Saga[int]):
        name = "t.bad"

        @step
        def a(self, n: int) -> list[Signature[int]]: ...

        @a.compensate
        def undo(self, n: int) -> list[Signature[int]]: ...


@wrong(
    "Bad.undo: takes the result of 'a' as list[int], but is called once for each item, with what that item returned: "
    "write `a: int`"
)
def compensation_that_takes_the_list():
    class Bad(Saga[int]):
        name = "t.bad"

        @step
        def a(self, n: int) -> list[Signature[int]]: ...

        @a.compensate
        def undo(self, n: int, a: list[int]) -> Signature[None]: ...


@wrong("Bad.b: takes the result of 'a', which returns a list: write `a: list[int]`")
def later_step_that_takes_one():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> list[Signature[int]]: ...

        @free()
        def b(self, n: int, a: int) -> Signature[None]: ...


@wrong("Bad.result: takes the result of 'a', which returns a list: write `a: list[int]`")
def result_that_takes_one():
    class Bad(Saga[int, int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> list[Signature[int]]: ...

        def result(self, n: int, a: int) -> int: ...


@wrong("Bad.b: takes the result of 'a', which may be skipped: write `a: list[int] | None`")
def skippable_list():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> list[Signature[int]] | Skip: ...

        @free()
        def b(self, n: int, a: list[int]) -> Signature[None]: ...


@wrong("Bad.a: has limit=3, but runs one message; annotate it `-> list[Signature[X]]`")
def limit_of_one_message():
    class Bad(Saga[int]):
        name = "t.bad"

        @free(limit=3)
        def a(self, n: int) -> Signature[int]: ...


@wrong("Bad.a: limit=0; give the number of items that may be under way at once, 1 or more")
def no_limit():
    class Bad(Saga[int]):
        name = "t.bad"

        @free(limit=0)
        def a(self, n: int) -> list[Signature[int]]: ...


@wrong("Bad.a: limit=True; give the number of items")
def truth_for_a_limit():
    class Bad(Saga[int]):
        name = "t.bad"

        @free(limit=True)
        def a(self, n: int) -> list[Signature[int]]: ...


@wrong("Bad.a: returns list[int]; a saga method returns `Signature[X]`, or `list[Signature[X]]`")
def list_of_something_else():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> list[int]: ...


@pytest.mark.parametrize(("define", "message"), CASES, ids=lambda part: getattr(part, "__name__", ""))
def test_a_wrong_list_is_refused_at_import(define: Callable[[], object], message: str):
    with pytest.raises(DefinitionError) as refused:
        define()
    assert message in str(refused.value)


def test_a_list_of_lists_and_anything_at_all_are_well():
    class Fine(Saga[int]):
        name = "t.fine"

        @step
        def a(self, n: int) -> list[Signature[list[int]]]: ...

        @a.compensate
        def undo(self, n: int, a: list[int]) -> Signature[None]: ...

        @free()
        def b(self, n: int, a: list[list[int]]) -> Signature[None]: ...

        @free()
        def c(self, n: int, a: Any) -> Signature[None]: ...

    assert Fine.definition().steps["a"].action.method.fans_out


def test_a_list_does_not_change_the_graph_but_is_drawn():
    def saga(returns: Any) -> type[Saga[Any, Any]]:
        class Drawn(Saga[int]):
            name = "t.drawn"

            @free()
            def a(self, n: int) -> returns: ...

        return Drawn

    one, many = saga(Signature[int]), saga(list[Signature[int]])
    assert one.definition().plan.hash == many.definition().plan.hash
    assert '    s_a["a"]\n' in graph(one.definition())
    assert '    s_a[/"a (each item)"/]\n' in graph(many.definition())
