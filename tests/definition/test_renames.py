"""A step or a saga that has another name now goes on with the sagas that were started under the old one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from celery.canvas import Signature

from saga_celery.core.commands import Render, RenderResult
from saga_celery.core.events import AttemptFailed, News, ProbeAnswered, Rendered, RenderFailed, ResultRendered, Verdict
from saga_celery.core.plan import Plan
from saga_celery.core.states import Direction, Message, SagaState, SagaStatus, Slot, StepState, StepStatus
from saga_celery.definition import Finding, Found, Saga, registry, step
from saga_celery.definition.outcomes import interpret_probe
from saga_celery.definition.renderer import ClassRenderer
from saga_celery.errors import DefinitionError
from saga_celery.settings import Settings
from tests.definition.states import SAGA_ID


def yesterday(name: str = "t.order") -> Plan:
    """The plan of a saga that was started before the deploy."""

    class Yesterday(Saga[int, str]):
        name = "t.yesterday"

        @step
        def charge(self, n: int) -> Signature[str]: ...

        @charge.compensate
        def refund(self, n: int, charge: str) -> Signature[None]: ...

        @step(no_compensation="x")
        def ship(self, n: int, charge: str) -> Signature[str]: ...

        def result(self, n: int, charge: str) -> str: ...

    return Plan(saga=name, steps=Yesterday.definition().plan.steps)


def today() -> type[Saga[int, str]]:
    class Order(Saga[int, str]):
        name = "t.order"

        @step(renamed_from=("pay", "charge"))
        def bill(self, n: int) -> Signature[str]:
            return self.task("bill", n, key=self.key())

        @bill.compensate
        def refund(self, n: int, bill: str) -> Signature[None]:
            return self.task("refund", bill, action=self.key_of("bill"), key=self.key())

        @bill.probe
        def find_bill(self, n: int) -> Signature[str | None]:
            return self.task("find", key=self.key_of("bill"))

        @bill.found
        def judge(self, n: int, answer: str | None) -> Finding[str]:
            return Found(self.key_of("bill"))

        @step(no_compensation="x", renamed_from="ship")
        def send_off(self, n: int, bill: str) -> Signature[str]:
            return self.task("send", bill, key_of_old_name=self.key_of("ship"))

        def result(self, n: int, bill: str, send_off: str) -> str:
            return f"{bill} {send_off}"

    return Order


def state(plan: Plan, **results: Any) -> SagaState:
    steps = {
        (name, 0): StepState(name=name, status=StepStatus.SUCCEEDED, result=value) for name, value in results.items()
    }
    return SagaState(id=SAGA_ID, name=plan.saga, plan_hash=plan.hash, status=SagaStatus.RUNNING, input=7, steps=steps)


def render(plan: Plan, at: SagaState, name: str | None, direction: Direction = Direction.ACTION) -> News | None:
    wish = RenderResult() if name is None else Render(slot=Slot(name, 0, direction))
    return ClassRenderer(Settings()).render(plan, at, wish)


def message(news: News | None) -> Message:
    assert isinstance(news, Rendered), news
    assert news.message is not None
    return news.message


def test_a_planned_step_of_the_old_name_is_rendered_by_the_new_one_under_its_old_key():
    today()
    plan = yesterday()
    assert message(render(plan, state(plan), "charge")) == Message(
        task="bill", args=(7,), kwargs={"key": f"{SAGA_ID}:charge:0:1:action"}
    )


def test_results_of_the_old_step_feed_arguments_of_the_new_name():
    today()
    plan = yesterday()
    at = state(plan, charge="c-1", ship="s-1")
    assert message(render(plan, at, "ship")).args == ("c-1",)
    assert message(render(plan, at, "ship")).kwargs == {"key_of_old_name": f"{SAGA_ID}:ship:0:1:action"}
    assert render(plan, at, None) == ResultRendered(result="c-1 s-1")


def test_so_does_its_compensation_and_its_probe():
    today()
    plan = yesterday()
    at = state(plan, charge="c-1")
    key = f"{SAGA_ID}:charge:0:1"
    undo = message(render(plan, at, "charge", Direction.COMPENSATION))
    assert (undo.args, undo.kwargs) == (("c-1",), {"action": f"{key}:action", "key": f"{key}:compensation"})
    assert message(render(plan, at, "charge", Direction.PROBE)).kwargs == {"key": f"{key}:action"}


def test_a_probe_s_answer_is_judged_with_the_key_of_the_open_saga():
    today()
    plan = yesterday()
    slot = Slot("charge", 0, Direction.PROBE)
    found = interpret_probe(state(plan), slot, 1, "anything", plan=plan)
    assert found == ProbeAnswered(slot=slot, attempt=1, verdict=Verdict.FOUND, result=f"{SAGA_ID}:charge:0:1:action")


def test_a_saga_of_today_uses_the_names_of_today():
    plan = today().definition().plan
    assert message(render(plan, state(plan), "bill")).kwargs == {"key": f"{SAGA_ID}:bill:0:1:action"}
    assert message(render(plan, state(plan, bill="b"), "send_off")).kwargs == {
        "key_of_old_name": f"{SAGA_ID}:send_off:0:1:action"
    }


def test_a_step_that_is_gone_parks_and_says_what_to_write():
    today()
    news = render(yesterday(), state(yesterday()), "wrap")
    assert isinstance(news, RenderFailed)
    assert news.failure.message.endswith(
        "any more; put it back, name it in renamed_from= of the step that does its work now, or skip it"
    )


def test_two_steps_of_one_saga_are_never_run_by_one_method():
    class Merged(Saga[int]):
        name = "t.order"

        @step(no_compensation="x", renamed_from="charge")
        def ship(self, n: int) -> Signature[str]:
            return self.task("ship")

    plan = yesterday()
    news = render(plan, state(plan), "charge")
    assert isinstance(news, RenderFailed)
    assert "has both 'charge' and 'ship', so it would run twice; put 'charge' back" in news.failure.message
    assert message(render(plan, state(plan), "ship")).task == "ship", "its own step is its own"
    probed = interpret_probe(state(plan), Slot("charge", 0, Direction.PROBE), 1, "x", plan=plan)
    assert isinstance(probed, AttemptFailed)


# --------------------------------------------------------------------------------------------------------------- sagas


def test_a_saga_of_the_old_name_is_rendered_by_the_renamed_class():
    class Renamed(Saga[int]):
        name = "t.new"
        renamed_from = ("t.older", "t.old")

        @step(no_compensation="x")
        def charge(self, n: int) -> Signature[str]:
            return self.task("charge", key=self.key())

    plan = yesterday("t.old")
    assert message(render(plan, state(plan), "charge")).kwargs == {"key": f"{SAGA_ID}:charge:0:1:action"}
    assert registry.find("t.older") is Renamed
    assert "t.old" not in registry.registered()
    assert registry.registered()["t.new"] is Renamed


def test_a_class_that_is_defined_again_without_a_former_name_gives_it_up():
    def define(*former: str) -> None:
        class Again(Saga[int]):
            name = "t.again"
            renamed_from = former

            @step(no_compensation="x")
            def a(self, n: int) -> Signature[None]: ...

    define("t.old")
    assert registry.is_registered("t.old")
    define()
    assert not registry.is_registered("t.old")


# -------------------------------------------------------------------------------------------------------------- errors


def saga_with(former: Any = (), step_former: Any = ()) -> Callable[[], object]:
    def define() -> object:
        class Bad(Saga[int]):
            name = "t.bad"
            renamed_from = former

            @step(no_compensation="x", renamed_from="old")
            def a(self, n: int) -> Signature[str]: ...

            @step(no_compensation="x", renamed_from=step_former)
            def b(self, n: int, a: str) -> Signature[str]: ...

        return Bad

    return define


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (saga_with(step_former="b"), "Bad.b: renamed_from='b' is the name that it has; drop it"),
        (saga_with(step_former="a"), "Bad.b: renamed_from='a' is still a step of this saga; drop one of the two"),
        (saga_with(step_former="old"), "Bad.b: renamed_from='old' is claimed by 'a', too; one step follows it"),
        (saga_with(step_former="no name"), "Bad.b: renamed_from='no name' is no name of a step"),
        (saga_with(step_former=("x", 3)), 'renamed_from=3 is no name of a step; write renamed_from="old_name"'),
        (saga_with(step_former="x" * 101), "is no name of a step"),
        (saga_with(step_former=3), "Bad.b: renamed_from=3 is neither a name nor a tuple of names"),
        (saga_with(former="t bad"), "Bad.renamed_from: 't bad' can not be the name of a saga"),
        (saga_with(former="t.bad"), "Bad.renamed_from: 't.bad' is the name that it has; drop it"),
        (saga_with(former=7), "Bad.renamed_from: 7 is neither a name nor a tuple of names"),
    ],
)
def test_import_names_the_mistake(define, message):
    with pytest.raises(DefinitionError) as caught:
        define()
    assert message in str(caught.value)


def test_an_argument_of_a_former_name_is_refused_with_the_new_one():
    with pytest.raises(DefinitionError, match=r"Bad\.b: takes 'old', which is 'a' now; give the argument that name"):

        class Bad(Saga[int]):
            name = "t.bad"

            @step(no_compensation="x", renamed_from="old")
            def a(self, n: int) -> Signature[str]: ...

            @step(no_compensation="x")
            def b(self, n: int, old: str) -> Signature[str]: ...


def test_renamed_from_can_be_no_step():
    with pytest.raises(DefinitionError, match=r"Bad\.renamed_from: is a reserved name"):

        class Bad(Saga[int]):
            name = "t.bad"

            @step(no_compensation="x")
            def renamed_from(self, n: int) -> Signature[str]: ...


def test_a_former_name_belongs_to_one_class():
    class First(Saga[int]):
        name = "t.first"
        renamed_from = "t.old"

        @step(no_compensation="x")
        def a(self, n: int) -> Signature[str]: ...

    with pytest.raises(DefinitionError, match=r"Second.renamed_from: 't.old' is a former name of .*First already"):

        class Second(Saga[int]):
            name = "t.second"
            renamed_from = "t.old"

            @step(no_compensation="x")
            def a(self, n: int) -> Signature[str]: ...

    with pytest.raises(DefinitionError, match=r"Third.renamed_from: 't.first' is the name of .*First already"):

        class Third(Saga[int]):
            name = "t.third"
            renamed_from = "t.first"

            @step(no_compensation="x")
            def a(self, n: int) -> Signature[str]: ...

    with pytest.raises(DefinitionError, match=r"Fourth.name: 't.old' is a former name of .*First already"):

        class Fourth(Saga[int]):
            name = "t.old"

            @step(no_compensation="x")
            def a(self, n: int) -> Signature[str]: ...
