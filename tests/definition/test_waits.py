"""Waits and sleeps in a saga class: what is refused at import, what is drawn, and what became of them since."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery.canvas import Signature
from pydantic import BaseModel

from saga_celery.core.commands import Render
from saga_celery.core.events import RenderFailed, WaitRendered
from saga_celery.core.plan import StepKind
from saga_celery.core.states import SagaState, SagaStatus, Slot, StepState, StepStatus
from saga_celery.definition import SKIP, Saga, Skip, drift, registry, sleep, step, wait_for
from saga_celery.definition.mermaid import graph
from saga_celery.definition.renderer import ClassRenderer
from saga_celery.definition.sending import event_for
from saga_celery.errors import DefinitionError, InputRejected, NotConfigured
from saga_celery.settings import Settings
from tests.definition import refusals

DAY = timedelta(days=1)
CASES: list[tuple[Callable[[], object], str]] = []
wrong = refusals.into(CASES)


class Approval(BaseModel):
    ok: bool
    by: str


class Formless:
    """Has no JSON form."""


# ── waits ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@wrong("Bad.approve: timeout=0; give more than 0 seconds, as a number or a timedelta")
def no_time():
    class Bad(Saga[int]):
        name = "t.bad"

        @wait_for(Approval, timeout=0)
        def approve(self, n: int) -> None: ...


@wrong("Bad.approve: timeout=datetime.timedelta(days=-1); give more than 0 seconds")
def time_of_the_past():
    class Bad(Saga[int]):
        name = "t.bad"

        @wait_for(Approval, timeout=-DAY)
        def approve(self, n: int) -> None: ...


@wrong("Bad.approve: timeout='2 days'; give more than 0 seconds, as a number or a timedelta")
def time_as_text():
    class Bad(Saga[int]):
        name = "t.bad"

        @wait_for(Approval, timeout="2 days")  # type: ignore[arg-type]
        def approve(self, n: int) -> None: ...


@wrong("Bad.approve: timeout=None; every wait has an end: give more than 0 seconds, or a timedelta")
def for_ever():
    class Bad(Saga[int]):
        name = "t.bad"

        @wait_for(Approval, timeout=None)  # type: ignore[arg-type]
        def approve(self, n: int) -> None: ...


@wrong("Bad.approve: timeout=datetime.timedelta(days=3651); give 3650 days at most")
def longer_than_any_saga_lives():
    class Bad(Saga[int]):
        name = "t.bad"

        @wait_for(Approval, timeout=timedelta(days=3_651))
        def approve(self, n: int) -> None: ...


@wrong("Bad.approve: has no return annotation; write `-> None`, or `-> Signature[X] | Skip`")
def no_annotation():
    class Bad(Saga[int]):
        name = "t.bad"

        @wait_for(Approval, timeout=DAY)
        def approve(self, n: int): ...


@wrong("Bad.approve: returns Approval; write `-> None`, or `-> Signature[X] | Skip`")
def returns_its_event():
    class Bad(Saga[int]):
        name = "t.bad"

        @wait_for(Approval, timeout=DAY)
        def approve(self, n: int) -> Approval: ...  # type: ignore[empty-body]


@wrong("Bad.approve: its event: Formless has no JSON form")
def event_without_json_form():
    class Bad(Saga[int]):
        name = "t.bad"

        @wait_for(Formless, timeout=DAY)
        def approve(self, n: int) -> None: ...


@wrong("Bad.undo: belongs to a wait, which has no effect that could be undone or asked for; drop it")
def compensation_of_a_wait():
    class Bad(Saga[int]):
        name = "t.bad"

        @wait_for(Approval, timeout=DAY)
        def approve(self, n: int) -> None: ...

        @approve.compensate
        def undo(self, n: int) -> Signature[None]: ...  # type: ignore[empty-body]


@wrong("Bad.ask: belongs to a wait, which has no effect that could be undone or asked for; drop it")
def probe_of_a_wait():
    class Bad(Saga[int]):
        name = "t.bad"

        @wait_for(Approval, timeout=DAY)
        def approve(self, n: int) -> None: ...

        @approve.probe
        def ask(self, n: int) -> Signature[Approval]: ...  # type: ignore[empty-body]


@wrong("Bad.ship: takes the result of 'approve', which may be skipped: write `approve: Approval | None`")
def taker_of_what_may_be_skipped():
    class Bad(Saga[int]):
        name = "t.bad"

        @wait_for(Approval, timeout=DAY, skippable=True)
        def approve(self, n: int) -> None: ...

        @step(pivot=True)
        def ship(self, n: int, approve: Approval) -> Signature[None]: ...  # type: ignore[empty-body]


@wrong("Bad.ship: takes the result of 'approve', which may be skipped: write `approve: Approval | None`")
def taker_of_what_the_method_may_skip():
    class Bad(Saga[int]):
        name = "t.bad"

        @wait_for(Approval, timeout=DAY)
        def approve(self, n: int) -> Signature[None] | Skip: ...  # type: ignore[empty-body]

        @step(pivot=True)
        def ship(self, n: int, approve: Approval) -> Signature[None]: ...  # type: ignore[empty-body]


@wrong("Bad.result: takes the result of 'approve', which may be skipped: write `approve: Approval | None`")
def result_of_what_may_be_skipped():
    class Bad(Saga[int, str]):
        name = "t.bad"

        @wait_for(Approval, timeout=DAY, skippable=True)
        def approve(self, n: int) -> None: ...

        def result(self, n: int, approve: Approval) -> str: ...  # type: ignore[empty-body]


# ── sleeps ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@wrong("Bad.rest: returns int; a sleep returns how long: write `-> timedelta`")
def sleep_that_returns_a_number():
    class Bad(Saga[int]):
        name = "t.bad"

        @sleep  # type: ignore[call-overload, untyped-decorator]
        def rest(self, n: int) -> int: ...


@wrong("Bad.act: takes the result of 'nap', a sleep, which has none: drop it")
def sleep_whose_result_somebody_takes():
    class Bad(Saga[int]):
        name = "t.bad"
        nap = sleep(timedelta(seconds=1))

        @step(no_compensation="none")
        def act(self, n: int, nap: str) -> Signature[None]: ...


@wrong("Bad.result: takes the result of 'nap', a sleep, which has none: drop it")
def sleep_that_the_result_is_made_of():
    class Bad(Saga[int, str]):
        name = "t.bad"
        nap = sleep(timedelta(seconds=1))

        def result(self, n: int, nap: str) -> str: ...


@wrong("Bad.rest: has no return annotation; write `-> timedelta`")
def sleep_without_annotation():
    class Bad(Saga[int]):
        name = "t.bad"

        @sleep
        def rest(self, n: int): ...


@wrong("sleep(14): say how long as a timedelta: sleep(timedelta(seconds=14))")
def sleep_of_a_number():
    class Bad(Saga[int]):
        name = "t.bad"
        rest = sleep(14)  # type: ignore[call-overload]


@wrong("nothing would be waited for; give more than no time")
def sleep_of_no_time():
    class Bad(Saga[int]):
        name = "t.bad"
        rest = sleep(timedelta(0))


@wrong("can sleep for 3650 days at most")
def sleep_of_a_century():
    class Bad(Saga[int]):
        name = "t.bad"
        rest = sleep(timedelta(days=3_651))


@wrong("Bad.undo: belongs to a sleep, which has no effect that could be undone or asked for; drop it")
def compensation_of_a_sleep():
    class Bad(Saga[int]):
        name = "t.bad"
        rest = sleep(DAY)

        @rest.compensate
        def undo(self, n: int) -> Signature[None]: ...  # type: ignore[empty-body]


@wrong("Bad.start: is a reserved name")
def sleep_of_a_reserved_name():
    class Bad(Saga[int]):
        name = "t.bad"
        start = sleep(DAY)  # type: ignore[assignment]


@pytest.mark.parametrize(("define", "message"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_a_wrong_wait_is_refused_with_what_to_write(define: Callable[[], object], message: str):
    with pytest.raises(DefinitionError, match=re.escape(message)):
        define()


def test_a_wait_has_to_say_how_long():
    with pytest.raises(TypeError, match="timeout"):
        wait_for(Approval)  # type: ignore[call-arg]


# ── right ones ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Right(Saga[int, str]):
    name = "t.right"

    @wait_for(Approval, timeout=2 * DAY)
    def approve(self, n: int) -> None: ...

    @wait_for(str, timeout=60, skippable=True, renamed_from="wish")
    def choice(self, n: int, approve: Approval) -> Signature[None] | Skip:
        return self.task("ask", approve.by) if n else SKIP

    cool_off = sleep(timedelta(days=14))

    @sleep
    def a_little(self, n: int, choice: str | None) -> timedelta:
        return timedelta(seconds=n)

    @step(pivot=True, idempotent=True)
    def ship(self, n: int, approve: Approval, choice: str | None) -> Signature[str]:
        return self.task("ship", choice)

    def result(self, n: int, ship: str, choice: str | None) -> str:
        return ship


def test_a_plan_knows_its_waits():
    kinds = {planned.name: planned.kind for planned in Right.definition().plan.steps}
    assert kinds == {
        "approve": StepKind.WAIT,
        "choice": StepKind.WAIT,
        "cool_off": StepKind.SLEEP,
        "a_little": StepKind.SLEEP,
        "ship": StepKind.TASK,
    }
    assert not any(planned.compensable for planned in Right.definition().plan.steps)


def test_a_drawing_tells_them_from_tasks():
    lines = graph(Right.definition()).splitlines()
    for drawn in ('s_approve[/"approve"/]', 's_cool_off[/"cool_off"/]', 's_ship[["ship (pivot)"]]'):
        assert f"    {drawn}" in lines
    assert "    s_approve --> s_choice" in lines


def rendered(saga: type[Saga[Any, Any]], name: str, state: SagaState) -> Any:
    plan = saga.definition().plan
    return ClassRenderer(Settings()).render(plan, state, Render(slot=Slot(name)))


def state(saga: type[Saga[Any, Any]], *steps: StepState, data: Any = 3) -> SagaState:
    plan = saga.definition().plan
    return SagaState(
        id="s1",
        name=plan.saga,
        plan_hash=plan.hash,
        status=SagaStatus.RUNNING,
        input=data,
        steps={(each.name, each.item): each for each in steps},
    )


def done(name: str, result: Any = None) -> StepState:
    return StepState(name=name, status=StepStatus.SUCCEEDED, result=result)


def test_a_wait_renders_to_its_time():
    answer = rendered(Right, "approve", state(Right))
    assert isinstance(answer, WaitRendered)
    assert (answer.policy.wait, answer.policy.skippable) == (172_800.0, False)


def test_a_wait_may_ask_first():
    approved = done("approve", {"ok": True, "by": "finance"})
    answer = rendered(Right, "choice", state(Right, approved))
    assert (answer.message.task, answer.message.args) == ("ask", ("finance",))
    assert (answer.policy.wait, answer.policy.skippable, answer.policy.resend) == (60.0, True, True)
    assert rendered(Right, "choice", state(Right, approved, data=0)).message is None


def test_a_sleep_renders_to_its_time():
    skipped = StepState(name="choice", status=StepStatus.SKIPPED)
    assert rendered(Right, "cool_off", state(Right)).policy.wait == 14 * 86_400.0
    assert rendered(Right, "a_little", state(Right, skipped)).policy.wait == 3.0
    assert rendered(Right, "a_little", state(Right, skipped, data=-3)).policy.wait == 0.0


@pytest.mark.parametrize(("answer", "says"), [(5, "returned a int"), (timedelta(days=40_000), "3650 days at most")])
def test_a_sleep_that_says_no_time_is_named(answer: object, says: str):
    class Odd(Saga[int]):
        name = "t.odd"

        @sleep
        def rest(self, n: int) -> timedelta:
            return answer  # type: ignore[return-value]

    failed = rendered(Odd, "rest", state(Odd))
    assert isinstance(failed, RenderFailed)
    assert "Odd.rest returned" in failed.failure.message
    assert says in failed.failure.message


# ── what is sent ─────────────────────────────────────────────────────────────────────────────────────────────────────


def sent(wait: str, event: object) -> Any:
    return event_for(Right.definition(), wait, event, event_id="e1", actor="ann", limit=1000)


def test_an_event_is_plain_data_under_every_name_of_its_wait():
    found = sent("approve", Approval(ok=True, by="ann"))
    assert (found.wait, found.formerly, found.payload) == ("approve", (), {"ok": True, "by": "ann"})
    found = sent("choice", "red")
    assert (found.wait, found.formerly, found.payload) == ("choice", ("wish",), "red")
    assert sent("wish", "red") == found


@pytest.mark.parametrize(
    ("wait", "event", "says"),
    [
        ("approve", "yes", "the event for Right.approve is no Approval"),
        ("approve", {"ok": "perhaps", "by": 3}, "the event for Right.approve is no Approval"),
        ("choice", 3, "the event for Right.choice is no str"),
        ("choice", "x" * 2000, "the event for Right.choice"),
        ("aprove", None, "Right has no wait named 'aprove'; did you mean 'approve'?"),
        ("ship", None, "Right has no wait named 'ship'"),
        ("nothing like it", None, "it waits for: approve, choice"),
    ],
)
def test_what_fits_no_wait_is_rejected(wait: str, event: object, says: str):
    with pytest.raises(InputRejected, match=re.escape(says)):
        sent(wait, event)


def test_a_saga_without_waits_says_so():
    class Task(Saga[int]):
        name = "t.task"

        @step(no_compensation="x")
        def only(self, n: int) -> Signature[None]: ...  # type: ignore[empty-body]

    with pytest.raises(InputRejected, match="it waits for: nothing"):
        event_for(Task.definition(), "only", None, event_id="", actor="", limit=1000)


def test_a_wait_of_no_class_sends_nothing():
    @wait_for(Approval, timeout=DAY)
    def approve(self: Any, n: int) -> None: ...

    with pytest.raises(DefinitionError, match="belongs to no saga class"):
        approve.send("s1", Approval(ok=True, by="ann"))


def test_without_an_app_nothing_can_be_sent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("saga_celery.definition.desk._bound", [])
    with pytest.raises(NotConfigured, match="SagaApp"):
        Right.approve.send("s1", Approval(ok=True, by="ann"))


# ── what became of a wait while sagas are open ───────────────────────────────────────────────────────────────────────


def yesterday() -> type[Saga[int, None]]:
    class Changing(Saga[int]):
        name = "t.changing"

        @wait_for(str, timeout=60)
        def approve(self, n: int) -> None: ...

        @step(pivot=True, idempotent=True)
        def ship(self, n: int) -> Signature[None]:
            return self.task("ship")

    return Changing


def approve_is_a_task() -> type[Saga[int, None]]:
    class Changing(Saga[int]):
        name = "t.changing"

        @step(no_compensation="x", idempotent=True)
        def approve(self, n: int) -> Signature[str]:
            return self.task("approve")

        @step(pivot=True, idempotent=True)
        def ship(self, n: int) -> Signature[None]:
            return self.task("ship")

    return Changing


def ship_is_a_wait() -> type[Saga[int, None]]:
    class Changing(Saga[int]):
        name = "t.changing"

        @wait_for(str, timeout=60)
        def approve(self, n: int) -> None: ...

        @wait_for(str, timeout=60)
        def ship(self, n: int) -> Signature[None]:
            return self.task("ask")

    return Changing


def approve_is_gone() -> type[Saga[int, None]]:
    class Changing(Saga[int]):
        name = "t.changing"

        @step(pivot=True, idempotent=True)
        def ship(self, n: int) -> Signature[None]:
            return self.task("ship")

    return Changing


def approve_is_sign_off() -> type[Saga[int, None]]:
    class Changing(Saga[int]):
        name = "t.changing"

        @wait_for(str, timeout=60, renamed_from="approve")
        def sign_off(self, n: int) -> None: ...

        @step(pivot=True, idempotent=True)
        def ship(self, n: int) -> Signature[None]:
            return self.task("ship")

    return Changing


def deployed(make: Callable[[], type[Saga[int, None]]]) -> type[Saga[int, None]]:
    """The class, in the place of the one before."""
    registry._sagas.pop("t.changing", None)
    return make()


WAITING = StepState(name="approve", status=StepStatus.AWAITING)


def differences(today: Callable[[], type[Saga[int, None]]], *steps: StepState) -> list[tuple[str, str, bool]]:
    old = deployed(yesterday)
    stored = state(old, *steps)
    found = drift.drift(old.definition().plan, deployed(today).definition(), [stored], sample=1)
    return [(each.kind.value, each.step, each.strands) for each in found.differences]


def test_a_step_that_is_of_another_kind_now_strands_who_has_it_ahead():
    assert differences(approve_is_a_task) == [("kind_changed", "approve", True)]
    assert differences(ship_is_a_wait, done("approve")) == [
        ("kind_changed", "ship", True),
        ("pivot_moved", "ship", False),
    ]
    assert differences(approve_is_a_task, done("approve")) == [("kind_changed", "approve", False)]


def test_a_wait_that_is_gone_strands_who_waits():
    assert differences(approve_is_gone, WAITING) == [("wait_gone", "approve", True), ("step_gone", "approve", False)]
    assert ("wait_gone", "approve", True) in differences(approve_is_a_task, WAITING)
    assert differences(yesterday, WAITING) == []
    assert differences(approve_is_sign_off, WAITING) == [("step_renamed", "approve", False)]


def test_what_it_says_names_the_way_out():
    old = deployed(yesterday)
    today = deployed(approve_is_a_task)
    found = drift.drift(old.definition().plan, today.definition(), [state(old, WAITING)], sample=1)
    texts = [(each.text, each.fix) for each in found.differences]
    assert texts[0] == (
        "the wait 'approve' is gone, so that nobody can send what these sagas wait for",
        "put it back until they have ended, or write renamed_from='approve' on the wait that takes its place",
    )
    found = drift.drift(old.definition().plan, today.definition(), [state(old)], sample=1)
    assert [(each.text, each.fix) for each in found.differences] == [
        (
            "step 'approve' was a wait and is a task now",
            "give what it is now another name, and put 'approve' back until they have ended",
        )
    ]


@pytest.mark.parametrize(
    ("today", "name", "says"),
    [
        (
            approve_is_a_task,
            "approve",
            "Changing was a wait when this saga was started, and is a task",
        ),
        (ship_is_a_wait, "ship", "Changing was a task when this saga was started, and is a wait now"),
    ],
)
def test_what_is_of_another_kind_is_not_run(today: Callable[[], type[Saga[int, None]]], name: str, says: str):
    """A wait that became a task would wait for nobody; a task that became a wait would take the asking for the work."""
    old = deployed(yesterday).definition().plan
    deployed(today)
    stored = SagaState(id="s1", name="t.changing", plan_hash=old.hash, status=SagaStatus.RUNNING, input=3)
    failed = ClassRenderer(Settings()).render(old, stored, Render(slot=Slot(name)))
    assert isinstance(failed, RenderFailed)
    assert says in failed.failure.message
