"""Every wrong definition fails at import and names class, method and fix."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from celery.canvas import Signature

from saga_celery.definition import NEVER, Finding, Saga, Skip, parallel, sequence, step
from saga_celery.errors import DefinitionError
from tests.definition import refusals

if TYPE_CHECKING:
    from decimal import Decimal

free = partial(step, no_compensation="x")
"""A step that nothing has to be undone for."""

CASES: list[tuple[Callable[[], object], str]] = []
wrong = refusals.into(CASES)


# --------------------------------------------------------------------------------------------------------------- class


@wrong('Bad.name: is missing; stored sagas are found by it: add for example `name = "shop.order"`')
def name_missing():
    class Bad(Saga[int]):
        @free()
        def a(self, n: int) -> Signature[None]: ...


@wrong("Bad.name: 'shop order' can not be a name; use letters, digits and _ . : - only, 200 at most")
def name_with_blank():
    class Bad(Saga[int]):
        name = "shop order"

        @free()
        def a(self, n: int) -> Signature[None]: ...


@wrong("Bad.max_running: 0 is no limit; write a whole number from 1, or None for no limit")
def limit_of_nothing():
    class Bad(Saga[int]):
        name = "bad"
        max_running = 0

        @free()
        def a(self, n: int) -> Signature[None]: ...


@wrong("Bad.max_running: is a reserved name; give the method another one")
def step_called_like_the_limit():
    class Bad(Saga[int]):
        name = "bad"

        @free()
        def max_running(self, n: int) -> Signature[None]: ...


@wrong("can not be a name")
def name_too_long():
    class Bad(Saga[int]):
        name = "x" * 201

        @free()
        def a(self, n: int) -> Signature[None]: ...


@wrong("Bad.name: is a reserved name; give the method another one")
def step_called_name():
    class Bad(Saga[int]):
        @free()
        def name(self, n: int) -> Signature[None]: ...


@wrong("Bad.timeout: is a reserved name; give the method another one")
def step_called_timeout():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def timeout(self, n: int) -> Signature[None]: ...


@wrong("Bad.result: is a reserved name; give the method another one")
def step_called_result():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def result(self, n: int) -> Signature[None]: ...


def _reserved(name: str) -> None:
    def method(self, n: int) -> Signature[None]: ...

    type(Saga)("Bad", (Saga,), {"name": "t.bad", name: free()(method)})


for each in ("start", "start_many", "get", "send", "key", "key_of", "task", "saga_id", "definition"):
    CASES.append((partial(_reserved, each), f"Bad.{each}: is a reserved name; give the method another one"))


@wrong("Bad.key: is a reserved name")
def attribute_of_saga_replaced():
    class Bad(Saga[int]):
        name = "t.bad"
        key = "x"

        @free()
        def a(self, n: int) -> Signature[None]: ...


@wrong("Bad.__init__: is a reserved name")
def constructor():
    class Bad(Saga[int]):
        name = "t.bad"

        def __init__(self) -> None: ...

        @free()
        def a(self, n: int) -> Signature[None]: ...


@wrong("Bad.timeout: 3 is no time span; write for example `timeout = timedelta(hours=1)`")
def deadline_as_number():
    class Bad(Saga[int]):
        name = "t.bad"
        timeout = 3

        @free()
        def a(self, n: int) -> Signature[None]: ...


@wrong("Bad.retention: 90 is no time span; write for example `retention = timedelta(hours=1)`")
def retention_as_number():
    class Bad(Saga[int]):
        name = "t.bad"
        retention = 90

        @free()
        def a(self, n: int) -> Signature[None]: ...


@wrong("Bad.timeout: datetime.timedelta(0) is no time span")
def deadline_of_nothing():
    class Bad(Saga[int]):
        name = "t.bad"
        timeout = timedelta(0)

        @free()
        def a(self, n: int) -> Signature[None]: ...


@wrong("Bad: say what its input is: write Saga[Input] or Saga[Input, Result]")
def no_input_type():
    class Bad(Saga):
        name = "t.bad"

        @free()
        def a(self, n: int) -> Signature[None]: ...


@wrong("Bad: its input or result type can not be resolved: name 'Nowhere' is not defined")
def input_type_unresolved():
    class Bad(Saga["Nowhere"]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> Signature[None]: ...


@wrong("Bad: has no steps; write at least one method with @step above it")
def no_steps():
    class Bad(Saga[int]):
        name = "t.bad"


@wrong("Child.a: comes from ")
def subclass_of_a_class_with_steps():
    class Parent(Saga[int]):
        name = "t.parent"

        @free()
        def a(self, n: int) -> Signature[None]: ...

    class Child(Parent):
        name = "t.child"

        @free()
        def b(self, n: int) -> Signature[None]: ...


@wrong("write the steps in this class and share code through plain functions")
def steps_from_a_mixin():
    class Mixin:
        @free()
        def a(self, n: int) -> Signature[None]: ...

    class Child(Mixin, Saga[int]):
        name = "t.child"

        @free()
        def b(self, n: int) -> Signature[None]: ...


@wrong("wants it too; stored sagas are found by it, so give one of the two another name")
def name_taken_by_another_class():
    class One(Saga[int]):
        name = "t.twice"

        @free()
        def a(self, n: int) -> Signature[None]: ...

    class Two(Saga[int]):
        name = "t.twice"

        @free()
        def a(self, n: int) -> Signature[None]: ...


@wrong("Bad.a: written twice; a step, its compensation and its probe each need their own name")
def step_overwritten():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> Signature[None]: ...

        @free()
        def a(self, n: int) -> Signature[None]: ...  # noqa: F811


@wrong("Bad.b: is the same method as a; a step has one name")
def step_under_two_names():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> Signature[None]: ...

        b = a


@wrong("Bad.undo: belongs to a step of another class; write it below a step of this class")
def compensation_of_a_foreign_step():
    class Other(Saga[int]):
        name = "t.other"

        @free()
        def a(self, n: int) -> Signature[None]: ...

    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def b(self, n: int) -> Signature[None]: ...

        @Other.a.compensate
        def undo(self, n: int) -> Signature[None]: ...


@wrong("has a compensation already; keep one of them")
def two_compensations():
    class Bad(Saga[int]):
        name = "t.bad"

        @step
        def a(self, n: int) -> Signature[None]: ...

        @a.compensate
        def undo(self, n: int) -> Signature[None]: ...

        @a.compensate
        def undo_again(self, n: int) -> Signature[None]: ...


# -------------------------------------------------------------------------------------------------------------- method


@wrong("Bad.b: takes 'resreve', which is no step; did you mean 'reserve'?")
def argument_misspelt():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def reserve(self, n: int) -> Signature[None]: ...

        @free()
        def b(self, n: int, resreve: None) -> Signature[None]: ...


@wrong("Bad.b: takes 'zzz', which is no step; behind the input come names of earlier steps: a")
def argument_unknown():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> Signature[None]: ...

        @free()
        def b(self, n: int, zzz: None) -> Signature[None]: ...


@wrong("Bad.a: takes the result of 'b', a later step; move 'a' below it")
def argument_names_a_later_step():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int, b: None) -> Signature[None]: ...

        @free()
        def b(self, n: int) -> Signature[None]: ...


@wrong("Bad.undo: takes the result of 'b', a later step")
def compensation_names_a_later_step():
    class Bad(Saga[int]):
        name = "t.bad"

        @step
        def a(self, n: int) -> Signature[None]: ...

        @a.compensate
        def undo(self, n: int, b: None) -> Signature[None]: ...

        @free()
        def b(self, n: int) -> Signature[None]: ...


@wrong("Bad.ask: takes its own result 'a', which is not there yet; drop the argument")
def probe_takes_what_it_asks_for():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> Signature[None]: ...

        @a.probe
        def ask(self, n: int, a: None) -> Signature[None]: ...


@wrong("Bad.b: takes the result of 'a', which runs beside it; move one of the two out of parallel()")
def argument_names_a_sibling():
    class Bad(Saga[int]):
        name = "t.bad"
        with parallel():

            @free()
            def a(self, n: int) -> Signature[None]: ...

            @free()
            def b(self, n: int, a: None) -> Signature[None]: ...


@wrong("Bad.a: an annotation can not be resolved: name 'Decimal' is not defined; import it outside `if TYPE_CHECKING:`")
def hint_unresolved():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> Signature[Decimal]: ...


@wrong("Bad.a: takes no input; the first argument after self is the input of the saga")
def input_missing():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self) -> Signature[None]: ...


@wrong("Bad.a: 'n' has no annotation; it says what values are decoded to")
def annotation_missing():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n) -> Signature[None]: ...


@wrong("Bad.a: its first argument is the saga's input, of type int; it is annotated `n: str`")
def input_of_another_type():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: str) -> Signature[None]: ...


@wrong("Bad.a: has no return annotation; write `-> Signature[X]`, X being the result")
def return_annotation_missing():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int): ...


@wrong("Bad.a: returns int; a saga method returns `Signature[X]`, or `list[Signature[X]]`")
def return_annotation_without_signature():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> int: ...


@wrong("Bad.a: returns celery.canvas.Signature[int] | None; a saga method returns")
def return_annotation_with_none():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> Signature[int] | None: ...


@wrong("Bad.a: its result: Connection has no JSON form: Unable to generate pydantic-core schema for")
def result_without_json_form():
    class Connection: ...

    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> Signature[Connection]: ...


@wrong("Bad.a: is async; a saga method only builds a signature, the task does the work: drop `async`")
def async_method():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        async def a(self, n: int) -> Signature[None]: ...


@wrong("Bad.a: is a generator; return one signature")
def generator_method():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> Signature[None]:
            yield


@wrong("Bad.a: is a staticmethod; saga methods take self and the input")
def static_method_inside():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        @staticmethod
        def a(n: int) -> Signature[None]: ...


@wrong("Bad.a: a step can not be a classmethod: it takes self and the input")
def class_method_outside():
    class Bad(Saga[int]):
        name = "t.bad"

        @classmethod
        @free()
        def a(cls, n: int) -> Signature[None]: ...


@wrong("Bad.a: is a partial, not a method; write `def a(self, data: Input)`")
def no_method_at_all():
    class Bad(Saga[int]):
        name = "t.bad"
        a = free()(partial(print, 1))


@wrong(
    "Bad.a: **more: Any: arguments have names here, those of earlier steps; spell them out".replace(": Any", ": 'Any'")
)
def catch_all_argument():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int, **more: Any) -> Signature[None]: ...


@wrong("Bad.a: has positional-only arguments; results are passed by name")
def positional_only_argument():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def first(self, n: int) -> Signature[None]: ...

        @free()
        def a(self, n: int, first: None, /) -> Signature[None]: ...


# -------------------------------------------------------------------------------------------------------------- undoing


@wrong(
    "Bad.a: stands before the pivot and can not be undone; add @a.compensate, or say why that is right: "
    '@step(no_compensation="why")'
)
def no_compensation():
    class Bad(Saga[int]):
        name = "t.bad"

        @step
        def a(self, n: int) -> Signature[None]: ...

        @step(pivot=True)
        def b(self, n: int) -> Signature[None]: ...


@wrong("Bad.a: no_compensation= is the reason, as text")
def no_compensation_without_reason():
    class Bad(Saga[int]):
        name = "t.bad"

        @step(no_compensation=" ")
        def a(self, n: int) -> Signature[None]: ...


@wrong("Bad.a: has both undo and no_compensation=; drop one of them")
def compensation_and_reason_for_none():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> Signature[None]: ...

        @a.compensate
        def undo(self, n: int) -> Signature[None]: ...


@wrong(
    "Bad.undo: would never run: a is the pivot or behind it, where sagas only go forward; drop the compensation or move"
)
def compensation_of_the_pivot():
    class Bad(Saga[int]):
        name = "t.bad"

        @step(pivot=True)
        def a(self, n: int) -> Signature[None]: ...

        @a.compensate
        def undo(self, n: int) -> Signature[None]: ...


@wrong("Bad.undo: would never run: b is the pivot or behind it")
def compensation_behind_the_pivot():
    class Bad(Saga[int]):
        name = "t.bad"

        @step(pivot=True)
        def a(self, n: int) -> Signature[None]: ...

        @step
        def b(self, n: int) -> Signature[None]: ...

        @b.compensate
        def undo(self, n: int) -> Signature[None]: ...


@wrong("Bad.b: is a second pivot beside a; there is one point of no return")
def two_pivots():
    class Bad(Saga[int]):
        name = "t.bad"

        @step(pivot=True)
        def a(self, n: int) -> Signature[None]: ...

        @step(pivot=True)
        def b(self, n: int) -> Signature[None]: ...


@wrong("Bad.a: is a pivot inside parallel(); move it above or below the block")
def pivot_in_parallel():
    class Bad(Saga[int]):
        name = "t.bad"
        with parallel():

            @step(pivot=True)
            def a(self, n: int) -> Signature[None]: ...


@wrong("Bad.a: stands in sequence() outside parallel(), where steps follow each other anyway; drop it")
def sequence_alone():
    class Bad(Saga[int]):
        name = "t.bad"
        with sequence():

            @free()
            def a(self, n: int) -> Signature[None]: ...


# ---------------------------------------------------------------------------------------------------- what may be None


@wrong("Bad.b: takes the result of 'a', which may be skipped: write `a: int | None`")
def skippable_result():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> Signature[int] | Skip: ...

        @free()
        def b(self, n: int, a: int) -> Signature[None]: ...


@wrong("Bad.result: takes the result of 'a', which may be skipped: write `a: int | None`")
def skippable_result_in_result():
    class Bad(Saga[int, int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> Signature[int] | Skip: ...

        def result(self, n: int, a: int) -> int: ...


@wrong("Bad.undo: is null_safe, so it may run without a result; write `a: int | None`")
def null_safe_without_none():
    class Bad(Saga[int]):
        name = "t.bad"

        @step
        def a(self, n: int) -> Signature[int]: ...

        @a.compensate(null_safe=True)
        def undo(self, n: int, a: int) -> Signature[None]: ...


# --------------------------------------------------------------------------------------------------- found and result


@wrong("Bad.a: has @a.found but no probe whose answer it could judge; add @a.probe")
def found_without_probe():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> Signature[int]: ...

        @a.found
        def judge(self, n: int, answer: int) -> Finding[int]:
            return NEVER


@wrong("Bad.judge: takes the input and the probe's answer: (self, data, answer)")
def found_without_answer():
    class Bad(Saga[int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> Signature[int]: ...

        @a.probe
        def ask(self, n: int) -> Signature[int]: ...

        @a.found
        def judge(self, n: int) -> Finding[int]:
            return NEVER


@wrong("Bad.result: takes 'shop', which is no step; did you mean 'ship'?")
def result_of_an_unknown_step():
    class Bad(Saga[int, int]):
        name = "t.bad"

        @free()
        def ship(self, n: int) -> Signature[int]: ...

        def result(self, n: int, shop: int) -> int: ...


@wrong("Bad.result: is missing, but the saga promises a int; write it, or drop the type")
def result_missing():
    class Bad(Saga[int, int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> Signature[int]: ...


@wrong("Bad.result: returns str, but the saga promises int")
def result_of_another_type():
    class Bad(Saga[int, int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> Signature[int]: ...

        def result(self, n: int) -> str: ...


@wrong("Bad.result: has no return annotation; write `-> int`")
def result_without_annotation():
    class Bad(Saga[int, int]):
        name = "t.bad"

        @free()
        def a(self, n: int) -> Signature[int]: ...

        def result(self, n: int): ...


# -------------------------------------------------------------------------------------------------------------- options


def _with_options(**options: Any) -> None:
    class Bad(Saga[int]):
        name = "t.bad"

        @free(**options)
        def a(self, n: int) -> Signature[int]: ...


OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"fatal": [3]}, "Bad.a: fatal=3 is neither an exception class nor the name of one"),
    ({"fatal": [""]}, "Bad.a: fatal='' is neither"),
    ({"fatal": [int]}, "Bad.a: fatal=<class 'int'> is neither"),
    ({"fatal": "CardDeclined"}, "Bad.a: fatal='CardDeclined'; write a list: fatal=['CardDeclined']"),
    ({"timeout": 0}, "Bad.a: timeout=0; give more than 0 seconds, as a number or a timedelta"),
    ({"timeout": True}, "Bad.a: timeout=True; give"),
    ({"timeout": "5"}, "Bad.a: timeout='5'; give"),
    ({"timeout": float("inf")}, "Bad.a: timeout=inf; give"),
    ({"timeout": timedelta(seconds=-1)}, "Bad.a: timeout=datetime.timedelta(days=-1, seconds=86399); give"),
    ({"queue_grace": -1}, "Bad.a: queue_grace=-1; give"),
    ({"settle_delay": -0.5}, "Bad.a: settle_delay=-0.5; give"),
    ({"run_on": "yes"}, "Bad.a: run_on='yes'; write True, False, or None"),
    ({"retry": 3}, "Bad.a: retry=3; write retry=Retry(attempts=…)"),
]
for given, expected in OPTIONS:
    CASES.append((partial(_with_options, **given), expected))


@wrong("Bad.run_on: 'yes' says nothing; write True, False, or None")
def a_saga_that_runs_on_somehow():
    class Bad(Saga[int]):
        name = "t.bad"
        run_on: Any = "yes"


@wrong("Bad.run_on: is a reserved name; give the method another one")
def a_step_named_run_on():
    class Bad(Saga[int]):
        name = "t.bad"

        @step(no_compensation="a test")
        def run_on(self, n: int) -> Signature[int]: ...


@wrong("Bad.undo: timeout=0; give more than 0 seconds")
def compensation_without_time():
    class Bad(Saga[int]):
        name = "t.bad"

        @step
        def a(self, n: int) -> Signature[None]: ...

        @a.compensate(timeout=0)
        def undo(self, n: int) -> Signature[None]: ...


@wrong("the name of a step has at most 100 characters")
def step_name_too_long():
    _reserved("x" * 101)


def _title(case: object) -> str:
    if isinstance(case, partial):
        return f"{case.func.__name__}-{case.args or case.keywords}"
    return getattr(case, "__name__", "")


@pytest.mark.parametrize(("define", "message"), CASES, ids=_title)
def test_a_wrong_definition_is_refused_with_what_to_write(define: Callable[[], object], message: str):
    with pytest.raises(DefinitionError, match=re.escape(message)):
        define()


def test_a_class_that_is_defined_again_takes_its_own_place():
    def define() -> type[Saga[int, None]]:
        class Again(Saga[int]):
            name = "t.again"

            @free()
            def a(self, n: int) -> Signature[None]: ...

        return Again

    first, second = define(), define()

    assert first is not second


def test_an_option_that_does_not_exist_is_a_type_error():
    with pytest.raises(TypeError, match="retires"):
        step(retires=3)
