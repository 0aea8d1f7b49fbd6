"""Child sagas as they are written: what is refused, what is drawn, and what is stored of one before it is started."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from celery.canvas import Signature

from saga_celery.core.commands import Render
from saga_celery.core.events import Rendered, RenderFailed
from saga_celery.core.plan import Plan, StepKind
from saga_celery.core.states import Direction, SagaState, SagaStatus, Slot, StepState, StepStatus
from saga_celery.definition import SKIP, Child, Retry, Saga, Skip, parallel, step
from saga_celery.definition.ahead import RESULT, Ahead, ahead, whole
from saga_celery.definition.mermaid import graph
from saga_celery.definition.parking import only_parking
from saga_celery.definition.renderer import ClassRenderer
from saga_celery.engine.correspondence import CHILD_TASK, child_id
from saga_celery.errors import DefinitionError
from saga_celery.settings import Settings
from tests.definition import refusals


class Grow(Saga[int, int]):
    """Without a point of no return."""

    name = "t.grow"
    timeout = timedelta(minutes=5)

    @step(no_compensation="x")
    def a(self, n: int) -> Signature[int]:
        return self.task("a", n)

    def result(self, n: int, a: int) -> int:
        return a


class Jump(Saga[int]):
    """With one."""

    name = "t.jump"

    @step(pivot=True, idempotent=True)
    def off(self, n: int) -> Signature[None]:
        return self.task("off", n)


@pytest.fixture(autouse=True)
def known(own_registry: None) -> None:
    from saga_celery.definition import registry

    registry._sagas.update({saga.definition().name: saga for saga in (Grow, Jump)})


# --------------------------------------------------------------------------------------------------- what is refused

WRONG: list[tuple[Callable[[], object], str]] = []
wrong = refusals.into(WRONG)


@wrong("Bad.undo: belongs to a child saga, which is undone as a whole by its own compensations; drop it")
def compensation():
    class Bad(Saga[int]):
        name = "t.bad"

        @step()
        def a(self, n: int) -> Child[int]: ...

        @a.compensate
        def undo(self, n: int) -> Signature[None]: ...


@wrong("Bad.ask: belongs to a child saga, which is undone as a whole by its own compensations; drop it")
def probe():
    class Bad(Saga[int]):
        name = "t.bad"

        @step()
        def a(self, n: int) -> Child[int]: ...

        @a.probe
        def ask(self, n: int) -> Signature[int]: ...


@wrong("Bad.a: timeout= has no meaning for a child saga: give it to `.si(data, timeout=…)`, or to the class of that")
def timeout():
    class Bad(Saga[int]):
        name = "t.bad"

        @step(timeout=3)
        def a(self, n: int) -> Child[int]: ...


@wrong("Bad.a: no_compensation= has no meaning for a child saga: it is undone as a whole by its own compensations")
def no_compensation():
    class Bad(Saga[int]):
        name = "t.bad"

        @step(no_compensation="whatever")
        def a(self, n: int) -> Child[int]: ...


@wrong("message for each item, or `Child[X]` to run another saga, and `| Skip` where there may be nothing to run")
def a_task_or_a_child():
    class Bad(Saga[int]):
        name = "t.bad"

        @step()
        def a(self, n: int) -> Child[int] | Signature[int]: ...


@wrong("Bad.result: takes the result of 'a', which may be skipped: write `a: int | None`")
def may_be_skipped():
    class Bad(Saga[int, int]):
        name = "t.bad"

        @step()
        def a(self, n: int) -> Child[int] | Skip: ...

        def result(self, n: int, a: int) -> int: ...


@pytest.mark.parametrize(
    "option",
    [{"retry": Retry(attempts=2)}, {"queue_grace": 3}, {"settle_delay": 3}, {"fatal": ["x"]}, {"idempotent": True}],
)
def test_options_of_a_task_are_refused_by_name(option):
    (name,) = option
    with pytest.raises(DefinitionError, match=f"Bad.a: {name}= has no meaning for a child saga: it is said in the"):

        class Bad(Saga[int]):
            name = "t.bad"

            @step(**option)
            def a(self, n: int) -> Child[int]: ...


@pytest.mark.parametrize(("define", "message"), WRONG, ids=[define.__name__ for define, _ in WRONG])
def test_a_wrong_definition_names_the_fix(define, message):
    with pytest.raises(DefinitionError, match=re.escape(message)):
        define()


# ------------------------------------------------------------------------------------------------- what is understood


class Family(Saga[int, int]):
    """A child on each side of the point of no return, and two side by side."""

    name = "t.family"

    with parallel():

        @step()
        def one(self, n: int) -> Child[int]:
            return Grow.si(n)

        @step
        def two(self, n: int) -> Child[int] | Skip:
            return Grow.si(n, timeout=timedelta(seconds=7)) if n else SKIP

    @step(pivot=True, idempotent=True)
    def sign(self, n: int, one: int) -> Signature[None]:
        return self.task("sign", n)

    @step()
    def leap(self, n: int) -> Child[None]:
        return Jump.si(n)

    def result(self, n: int, one: int, two: int | None) -> int:
        return one + (two or 0)


PLAN = Family.definition().plan


def test_the_annotation_makes_the_kind_and_only_before_the_pivot_there_is_something_to_undo():
    found = {planned.name: (planned.kind, planned.compensable) for planned in PLAN.steps}
    assert found == {
        "one": (StepKind.CHILD, True),
        "two": (StepKind.CHILD, True),
        "sign": (StepKind.TASK, False),
        "leap": (StepKind.CHILD, False),
    }
    assert Plan.from_json(PLAN.to_json()) == PLAN


def test_children_are_drawn_as_what_they_are():
    drawn = graph(Family.definition())
    assert '    s_one[("one")]\n' in drawn
    assert "undo" not in drawn


def test_the_outcome_of_a_child_is_never_unknown():
    assert only_parking(Family.definition()) == ()
    assert only_parking(Grow.definition()) == ("a",)


def state(**steps: StepStatus) -> SagaState:
    begun = [StepState(name=name, status=status) for name, status in steps.items()]
    return SagaState(
        id="p1",
        name="t.family",
        plan_hash=PLAN.hash,
        status=SagaStatus.RUNNING,
        input=3,
        steps={(step.name, 0): step for step in begun},
    )


def test_a_child_owes_no_compensation():
    assert [each.step for each in whole(PLAN) if each.direction is Direction.COMPENSATION] == []
    rest = [Ahead("two", Direction.ACTION), Ahead("sign", Direction.ACTION), Ahead("leap", Direction.ACTION), RESULT]
    assert [*ahead(PLAN, state(one=StepStatus.AWAITING))] == rest
    assert [*ahead(PLAN, state(one=StepStatus.SUCCEEDED))] == rest


# -------------------------------------------------------------------------------------------------------- rendering


def render(step_name: str, found: SagaState, plan: Plan = PLAN):
    return ClassRenderer(Settings()).render(plan, found, Render(slot=Slot(step_name)))


def test_what_is_stored_of_a_child_is_all_that_its_start_needs():
    news = render("one", state(one=StepStatus.SCHEDULED))
    assert isinstance(news, Rendered)
    assert news.message.task == CHILD_TASK
    assert Plan.from_json(news.message.kwargs["plan"]) == Grow.definition().plan
    assert (news.message.kwargs["input"], news.message.kwargs["timeout"]) == (3, 300.0)


def test_the_time_of_one_child_may_be_another_than_that_of_its_class():
    news = render("two", state(two=StepStatus.SCHEDULED))
    assert news.message.kwargs["timeout"] == 7.0


def test_a_child_may_be_skipped():
    found = state(two=StepStatus.SCHEDULED)
    news = render("two", SagaState(**{**_plain(found), "input": 0}))
    assert isinstance(news, Rendered)
    assert news.message is None


def _plain(found: SagaState) -> dict[str, object]:
    return {name: getattr(found, name) for name in ("id", "name", "plan_hash", "status", "steps")}


def test_behind_the_pivot_a_child_may_have_one():
    assert isinstance(render("leap", state(leap=StepStatus.SCHEDULED)), Rendered)


def test_a_child_may_be_the_pivot():
    class Ends(Saga[int]):
        name = "t.ends"

        @step(pivot=True)
        def only(self, n: int) -> Child[None]:
            return Jump.si(n)

    news = rendered_once(Ends, "only")
    assert isinstance(news, Rendered)


def rendered_once(saga: type[Saga], name: str, data: object = 3):
    plan = saga.definition().plan
    found = SagaState(
        id="p1",
        name=plan.saga,
        plan_hash=plan.hash,
        status=SagaStatus.RUNNING,
        input=data,
        steps={(name, 0): StepState(name=name, status=StepStatus.SCHEDULED)},
    )
    return render(name, found, plan)


def test_a_child_with_a_pivot_in_front_of_that_of_its_parent_parks_with_the_way_out():
    class Early(Saga[int]):
        name = "t.early"

        @step()
        def leap(self, n: int) -> Child[None]:
            return Jump.si(n)

    news = rendered_once(Early, "leap")
    assert isinstance(news, RenderFailed)
    assert news.failure.type.endswith("DefinitionError")
    assert news.failure.message.endswith(
        "Early.leap: Jump has a pivot (off), so it can not be undone once that is done; make this step the pivot of "
        "its own saga, or move it behind the pivot"
    )


def test_what_is_no_child_is_refused_when_it_is_rendered():
    class Odd(Saga[int]):
        name = "t.odd"

        @step()
        def a(self, n: int) -> Child[int]:
            return self.task("a", n)  # type: ignore[return-value]

    news = rendered_once(Odd, "a")
    assert isinstance(news, RenderFailed)
    assert "Odd.a returned a Signature; a step annotated `-> Child[X]` returns `OtherSaga.si(data)`" in (
        news.failure.message
    )


def test_an_input_that_does_not_fit_is_refused_when_it_is_rendered():
    class Odd(Saga[int]):
        name = "t.odd"

        @step()
        def a(self, n: int) -> Child[int]:
            return Grow.si("three")  # type: ignore[arg-type]

    news = rendered_once(Odd, "a")
    assert isinstance(news, RenderFailed)
    assert news.failure.type.endswith("InputRejected")


@pytest.mark.parametrize("span", [timedelta(0), timedelta(seconds=-1)])
def test_no_time_at_all_is_refused(span):
    class Hasty(Saga[int]):
        name = "t.hasty"

        @step()
        def a(self, n: int) -> Child[int]:
            return Grow.si(n, timeout=span)

    news = rendered_once(Hasty, "a")
    assert isinstance(news, RenderFailed)
    assert "a deadline lies in the future" in news.failure.message


def test_each_activity_has_one_child():
    mine = child_id("p1", Slot("one"))
    assert mine == child_id("p1", Slot("one", 0, Direction.COMPENSATION))
    others = {child_id("p2", Slot("one")), child_id("p1", Slot("two")), child_id("p1", Slot("one", 1))}
    assert len({mine, *others, child_id("p1", Slot("one", generation=2))}) == 5
