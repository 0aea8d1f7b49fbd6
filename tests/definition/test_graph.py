import contextvars
import threading

import pytest
from celery.canvas import Signature

from saga_celery.core.plan import Plan
from saga_celery.definition import Saga, parallel, sequence, step
from saga_celery.definition.groups import current_path, predecessors
from saga_celery.definition.mermaid import graph
from saga_celery.errors import DefinitionError
from tests.definition.shop import OrderSaga


def after(saga: type[Saga[int, None]]) -> dict[str, tuple[str, ...]]:
    return {planned.name: planned.after for planned in saga.definition().plan.steps}


def test_steps_follow_each_other_and_groups_fork_and_join():
    assert after(OrderSaga) == {
        "reserve": (),
        "charge": ("reserve",),
        "approve": ("charge",),
        "ship": ("approve",),
        "receipt": ("ship",),
        "points": ("ship",),
        "badge": ("points",),
        "close": ("receipt", "badge"),
    }


def test_groups_nest_and_stand_next_to_each_other():
    class Nested(Saga[int]):
        name = "t.nested"
        with parallel():

            @step(no_compensation="x")
            def a(self, n: int) -> Signature[None]: ...

            with sequence():

                @step(no_compensation="x")
                def b(self, n: int) -> Signature[None]: ...

                with parallel():

                    @step(no_compensation="x")
                    def c(self, n: int) -> Signature[None]: ...

                    @step(no_compensation="x")
                    def d(self, n: int) -> Signature[None]: ...

        with parallel():

            @step(no_compensation="x")
            def e(self, n: int) -> Signature[None]: ...

            @step(no_compensation="x")
            def f(self, n: int) -> Signature[None]: ...

    assert after(Nested) == {
        "a": (),
        "b": (),
        "c": ("b",),
        "d": ("b",),
        "e": ("a", "c", "d"),
        "f": ("a", "c", "d"),
    }


def test_the_hash_of_a_graph_is_the_same_on_every_machine_and_release():
    plan = OrderSaga.definition().plan

    assert plan.hash == "63cfef285b39da50cfed601d2f9d18df"
    assert Plan.from_json(plan.to_json()) == plan


def test_policies_and_code_do_not_change_the_hash():
    def saga(**options):
        class Small(Saga[int]):
            name = "t.small"

            @step(no_compensation="x", **options)
            def a(self, n: int) -> Signature[None]: ...

        return Small.definition().plan.hash

    assert saga() == saga(timeout=3, idempotent=True)
    assert saga() != saga(pivot=True)


@pytest.mark.peer_bug("plan collected through module globals (not thread safe)")
def test_threads_define_sagas_at_once():
    barrier = threading.Barrier(8)
    found: dict[int, dict[str, tuple[str, ...]]] = {}

    def define(number: int) -> None:
        class Threaded(Saga[int]):
            name = f"t.threaded{number}"
            barrier.wait()

            @step(no_compensation="x")
            def first(self, n: int) -> Signature[None]: ...

            with parallel():
                barrier.wait()

                @step(no_compensation="x")
                def left(self, n: int) -> Signature[None]: ...

                barrier.wait()

                @step(no_compensation="x")
                def right(self, n: int) -> Signature[None]: ...

            barrier.wait()

            @step(no_compensation="x")
            def last(self, n: int) -> Signature[None]: ...

        found[number] = after(Threaded)

    def run(number: int) -> None:
        try:
            define(number)
        except DefinitionError as error:
            found[number] = {"error": (str(error),)}

    # Each thread shares one context value on purpose: a global in disguise would be seen by all.
    threads = [threading.Thread(target=contextvars.copy_context().run, args=(run, n)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    expected = {"first": (), "left": ("first",), "right": ("first",), "last": ("left", "right")}
    assert found == dict.fromkeys(range(8), expected)


@pytest.mark.peer_bug("steps of a class body that raised turn up in the next class")
def test_a_class_body_that_raises_leaves_nothing_behind():
    with pytest.raises(RuntimeError):

        class Broken(Saga[int]):
            name = "t.broken"
            with parallel():

                @step(no_compensation="x")
                def lost(self, n: int) -> Signature[None]: ...

                raise RuntimeError

    assert current_path() == ()

    class Whole(Saga[int]):
        name = "t.whole"

        @step(no_compensation="x")
        def a(self, n: int) -> Signature[None]: ...

        @step(no_compensation="x")
        def b(self, n: int) -> Signature[None]: ...

    assert after(Whole) == {"a": (), "b": ("a",)}


def test_no_steps_no_graph():
    assert predecessors([]) == {}


def test_the_drawing_shows_steps_compensations_and_the_pivot():
    drawing = graph(OrderSaga.definition())

    assert drawing.startswith("flowchart TD\n")
    assert '    s_ship[["ship (pivot)"]]\n' in drawing
    assert '    s_charge -. undo .-> c_charge("refund")\n' in drawing
    assert "    s_receipt --> s_close\n    s_badge --> s_close\n" in drawing
