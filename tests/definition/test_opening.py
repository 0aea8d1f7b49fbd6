"""What is packed is opened for the methods of a saga class, as far as they take it, and trouble with it told apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from celery.canvas import Signature

from saga_celery.core.commands import Render, RenderResult
from saga_celery.core.events import ProbeAnswered, Rendered, RenderFailed, ResultRendered, Verdict
from saga_celery.core.states import SagaState, Slot, StepState, StepStatus
from saga_celery.definition import Saga, registry, saga_chain, step
from saga_celery.definition.outcomes import interpret_probe
from saga_celery.definition.payloads import check_arguments_open
from saga_celery.definition.renderer import ClassRenderer
from saga_celery.engine.packed import SEALED
from saga_celery.errors import InputRejected, PayloadUnavailable, SealBroken
from saga_celery.settings import Settings
from tests.definition.chain_shop import charge, refund, reserve


class Opener:
    """Opens what says its own value, and takes down what it was asked for."""

    def __init__(self) -> None:
        self.opened: list[Any] = []
        self.trouble: Exception | None = None

    def __call__(self, saga_id: str, value: Any) -> Any:
        if not (isinstance(value, dict) and SEALED in value):
            return value
        if self.trouble:
            raise self.trouble
        self.opened.append(value[SEALED])
        return value[SEALED]


def sealed(value: Any) -> dict[str, Any]:
    return {SEALED: value}


@pytest.fixture
def letter(own_registry: None) -> type[Saga[Any, Any]]:
    class LetterSaga(Saga[int, str]):
        name = "post.letter"

        @step(no_compensation="paper is cheap")
        def write(self, pages: int) -> Signature[str]:
            return self.task("post.write", pages)

        @step(no_compensation="paper is cheap")
        def copy(self, pages: int) -> Signature[str]:
            return self.task("post.copy", sealed("a forgery") if pages == 13 else pages)

        @step(no_compensation="it is on its way")
        def post(self, pages: int, copy: str) -> Signature[str]:
            return self.task("post.post", copy)

        @post.probe
        def find(self, pages: int) -> Signature[str | None]:
            return self.task("post.find", pages)

        def result(self, pages: int, post: str) -> str:
            return post

    return LetterSaga


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_sagas", {})


def state(saga: type[Saga[Any, Any]], **results: Any) -> SagaState:
    steps = {
        (name, 0): StepState(name=name, status=StepStatus.SUCCEEDED, result=result) for name, result in results.items()
    }
    plan = saga.definition().plan
    return SagaState(id="s1", name=plan.saga, plan_hash=plan.hash, input=sealed(3), steps=steps)


def test_only_what_a_method_takes_is_opened(letter: type[Saga[Any, Any]]) -> None:
    opener = Opener()
    renderer = ClassRenderer(Settings(), opener)
    plan = letter.definition().plan
    seen = state(letter, write=sealed("never asked for"), copy=sealed("a copy"), post="on its way")

    news = renderer.render(plan, seen, Render(slot=Slot("post")))
    assert isinstance(news, Rendered)
    assert news.message is not None
    assert news.message.args == ("a copy",)
    assert sorted(map(str, opener.opened)) == ["3", "a copy"]
    assert renderer.render(plan, seen, RenderResult()) == ResultRendered(result="on its way")


@pytest.mark.parametrize("wish", [Render(slot=Slot("post")), RenderResult()], ids=["message", "result"])
def test_an_outage_is_not_the_sagas_failure_but_what_can_not_be_read_is(
    letter: type[Saga[Any, Any]], wish: Render | RenderResult
) -> None:
    opener = Opener()
    renderer, plan = ClassRenderer(Settings(), opener), letter.definition().plan
    seen = state(letter, copy="c", post="p")
    opener.trouble = PayloadUnavailable("away")
    with pytest.raises(PayloadUnavailable):
        renderer.render(plan, seen, wish)
    opener.trouble = SealBroken("another key")
    news = renderer.render(plan, seen, wish)
    assert isinstance(news, RenderFailed)
    assert news.failure.type == "saga_celery.errors.SealBroken"


def test_the_answer_of_a_probe_is_opened(letter: type[Saga[Any, Any]]) -> None:
    opener, slot = Opener(), Slot("post")
    found = interpret_probe(state(letter), slot, 1, sealed("found"), opener=opener)
    assert found == ProbeAnswered(slot=slot, attempt=1, verdict=Verdict.FOUND, result="found")
    opener.trouble = PayloadUnavailable("away")
    with pytest.raises(PayloadUnavailable):
        interpret_probe(state(letter), slot, 1, sealed("found"), opener=opener)


def test_a_chain_is_opened_as_well() -> None:
    opener = Opener()
    chain = saga_chain("checkout", reserve.s(7), (charge.s(), refund.s()))
    plan, script = chain.definition().plan, chain.script()
    steps = {("reserve", 0): StepState(name="reserve", status=StepStatus.SUCCEEDED, result=sealed("r-1"))}
    seen = SagaState(id="s1", name="checkout", plan_hash=plan.hash, input=sealed(script), steps=steps)
    renderer = ClassRenderer(Settings(), opener)

    news = renderer.render(plan, seen, Render(slot=Slot("charge")))
    assert isinstance(news, Rendered)
    assert news.message is not None
    assert news.message.args == ("r-1",)
    opener.trouble = PayloadUnavailable("away")
    with pytest.raises(PayloadUnavailable):
        renderer.render(plan, seen, Render(slot=Slot("charge")))


def test_arguments_that_look_packed_are_refused(letter: type[Saga[Any, Any]]) -> None:
    renderer, plan = ClassRenderer(Settings()), letter.definition().plan
    for pages in (13, 3):
        news = renderer.render(plan, replace(state(letter), input=pages), Render(slot=Slot("copy")))
        assert isinstance(news, RenderFailed) is (pages == 13)
        assert "is reserved" in news.failure.message if isinstance(news, RenderFailed) else True
    with pytest.raises(InputRejected, match="is reserved"):
        check_arguments_open([1], {"a": sealed(1)}, "an argument")
