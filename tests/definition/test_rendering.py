from __future__ import annotations

import threading
from typing import Any

import pytest
from celery import chain, chord, group
from celery.canvas import Signature
from kombu import Queue
from pydantic import BaseModel

from saga_celery.core.commands import Render, RenderResult
from saga_celery.core.events import News, RenderAborted, Rendered, RenderFailed, ResultRendered
from saga_celery.core.retry import Retry
from saga_celery.core.states import Direction, Message, SagaState, Slot, StepStatus
from saga_celery.definition import SKIP, Abort, Saga, Skip, registry, step
from saga_celery.definition.keys import LONGEST, slot_key
from saga_celery.definition.renderer import ClassRenderer
from saga_celery.settings import Settings
from tests.definition.shop import OrderSaga, app, release_stock, reserve_stock
from tests.definition.states import SAGA_ID, state_of

ORDER = {"order_id": 7, "cents": 500, "lines": [{"sku": "tea", "price": 1.5}], "nickName": "Joe"}
RESERVED = {"id": "r1", "warehouse": "north"}


def render(state: SagaState, step: str, direction: Direction = Direction.ACTION, **settings: Any) -> News | None:
    plan = registry.find(state.name).definition().plan
    return ClassRenderer(Settings(**settings)).render(plan, state, Render(slot=Slot(step, 0, direction)))


def rendered(state: SagaState, step: str, direction: Direction = Direction.ACTION, **settings: Any) -> Rendered:
    news = render(state, step, direction, **settings)
    assert isinstance(news, Rendered), news
    return news


def failed(state: SagaState, step: str, direction: Direction = Direction.ACTION, **settings: Any) -> str:
    news = render(state, step, direction, **settings)
    assert isinstance(news, RenderFailed), news
    assert news.slot == Slot(step, 0, direction)
    return news.failure.message


def order(
    results: dict[str, Any] | None = None, data: dict[str, Any] | None = None, **statuses: StepStatus
) -> SagaState:
    return state_of(OrderSaga, data or ORDER, results, **statuses)


# ------------------------------------------------------------------------------------------------------------- messages


def test_an_imported_task_gets_plain_arguments():
    assert rendered(order(), "reserve").message == Message(
        task="shop.reserve_stock", args=(7, [{"sku": "tea", "price": 1.5}])
    )


def test_rendering_twice_gives_the_same():
    state = order({"reserve": RESERVED, "charge": {"id": "c"}, "approve": None})
    for name in OrderSaga.definition().steps:
        if name not in ("receipt", "badge"):
            assert render(state, name) == render(state, name)


def test_a_task_known_by_name_carries_key_and_options():
    state = order({"reserve": RESERVED, "approve": True})

    assert rendered(state, "charge").message == Message(
        task="billing.charge", kwargs={"cents": 500, "key": f"{SAGA_ID}:charge:0:1:action"}
    )
    assert rendered(state, "ship").message == Message(
        task="shop.ship", args=("north",), options={"queue": "ship", "priority": 3}
    )
    assert rendered(order({"ship": "s"}), "close").message == Message(task="shop.close", args=(SAGA_ID,))


def test_a_compensation_gets_the_original_result():
    message = rendered(order({"reserve": RESERVED}), "reserve", Direction.COMPENSATION).message

    assert message == Message(task="shop.release_stock", args=("r1",))


def test_a_null_safe_compensation_runs_without_a_result():
    state = order(charge=StepStatus.GIVEN_UP)

    news = rendered(state, "charge", Direction.COMPENSATION)

    assert news.message is not None
    assert news.message.kwargs == {"charge_id": None, "key": f"{SAGA_ID}:charge:0:1:compensation"}


def test_a_probe_uses_the_key_of_the_action_it_asks_about():
    state = order(charge=StepStatus.PROBING)

    message = rendered(state, "charge", Direction.PROBE).message

    assert message is not None
    assert message.kwargs == {"key": f"{SAGA_ID}:charge:0:1:action"}


def test_skip_is_a_rendering_without_a_message():
    assert rendered(order(), "approve").message is None
    assert rendered(order(data=ORDER | {"cents": 5000}), "approve").message == Message(task="shop.ask", args=(7,))


def test_abort_turns_the_saga_round():
    state = order({"reserve": RESERVED, "approve": False})

    assert render(state, "ship") == RenderAborted(slot=Slot("ship"), reason="refused by the boss")


# --------------------------------------------------------------------------------------------------------------- policy


def test_policies_come_from_options_and_settings():
    state = order({"reserve": RESERVED, "approve": True, "charge": {"id": "c"}})

    reserve = rendered(state, "reserve", step_timeout=11.0, queue_grace=12.0, settle_delay=13.0).policy
    assert (reserve.timeout, reserve.queue_grace, reserve.settle_delay) == (11.0, 12.0, 13.0)
    assert (reserve.resend, reserve.retry) == (True, Retry()), "idempotent, so it may be retried"
    assert (reserve.needs_result, reserve.null_safe, reserve.probe) == (True, False, False)

    charge = rendered(state, "charge").policy
    assert (charge.timeout, charge.retry.attempts, charge.resend) == (30.0, 5, True)
    assert charge.fatal == ("billing.CardDeclined", "tests.definition.shop.CardDeclined", "ValueError")
    assert (charge.needs_result, charge.null_safe, charge.probe) == (True, True, True)

    ship = rendered(state, "ship").policy
    assert (ship.retry, ship.resend, ship.settle_delay) == (Retry(attempts=1), False, 2.5)
    assert (ship.needs_result, ship.probe, ship.fatal) == (False, False, ())
    assert rendered(state, "approve").policy.queue_grace == 60.0


def test_policies_of_compensations_and_probes():
    state = order({"reserve": RESERVED, "charge": {"id": "c"}})

    release = rendered(state, "reserve", Direction.COMPENSATION).policy
    assert (release.retry.attempts, release.resend) == (10, True), "as idempotent as its step"
    refund = rendered(state, "charge", Direction.COMPENSATION).policy
    assert (refund.retry.attempts, refund.resend, refund.fatal) == (20, True, ())
    probe = rendered(state, "charge", Direction.PROBE).policy
    assert (probe.retry.attempts, probe.resend) == (10, True)


def test_a_compensation_may_be_less_safe_than_its_step():
    class Unsafe(Saga[int]):
        name = "t.unsafe"

        @step(idempotent=True)
        def a(self, n: int) -> Signature[None]: ...

        @a.compensate(idempotent=False)
        def undo(self, n: int) -> Signature[None]:
            return self.task("t.undo", self.key_of("a"))

    policy = rendered(state_of(Unsafe, 1, {"a": None}), "a", Direction.COMPENSATION).policy
    assert (policy.resend, policy.needs_result) == (False, False)


@pytest.mark.parametrize(("saga", "of_step", "of_undo", "expected"), [
    (None, None, None, (None, None, None)),
    (True, None, None, (True, True, True)),
    (True, False, None, (False, False, False)),
    (False, True, False, (True, False, True)),
])  # fmt: skip
def test_whether_it_runs_on_is_said_by_the_activity_its_step_or_its_saga(saga, of_step, of_undo, expected):
    class Runner(Saga[int]):
        name = "t.runner"
        run_on = saga

        @step(idempotent=True, run_on=of_step)
        def a(self, n: int) -> Signature[int]:
            return self.task("t.a")

        @a.compensate(run_on=of_undo)
        def undo(self, n: int) -> Signature[None]:
            return self.task("t.undo")

        @a.probe
        def ask(self, n: int) -> Signature[int | None]:
            return self.task("t.ask")

    state = state_of(Runner, 1, {"a": 1})
    assert tuple(rendered(state, "a", direction).policy.run_on for direction in Direction) == expected


# ------------------------------------------------------------------------------------------------------------- failures


def test_an_unknown_saga_is_left_to_others():
    state = order()
    registry._sagas.pop("shop.order")

    assert ClassRenderer(Settings()).render(OrderSaga.definition().plan, state, Render(slot=Slot("reserve"))) is None


def test_a_step_that_the_class_lost_parks():
    assert "step 'gone' is not in OrderSaga any more; put it back" in failed(order(), "gone")
    assert "has no compensation any more" in failed(order({"ship": "s"}), "ship", Direction.COMPENSATION)


def test_a_result_that_the_saga_never_ran_is_named():
    message = failed(order(), "ship")

    assert message.startswith("OrderSaga.ship takes the result of 'reserve', which this saga has not run")


def test_a_result_that_does_not_fit_is_named_and_not_told():
    message = failed(order({"reserve": {"id": "x" * 500}}), "reserve", Direction.COMPENSATION)

    assert message == "OrderSaga.release: the result of 'reserve' does not fit Reservation: warehouse: Field required"


def test_an_input_that_does_not_fit_is_named_and_not_told():
    message = failed(order(data={"order_id": 7}), "reserve")

    assert message == "OrderSaga.reserve: the input of the saga does not fit Order: cents: Field required"


def test_what_user_code_raises_is_kept_with_its_traceback():
    class Raising(Saga[int]):
        name = "t.raising"

        @step(no_compensation="x")
        def a(self, n: int) -> Signature[None]:
            def deep(level: int) -> None:
                if not level:
                    raise KeyError("nothing here")
                deep(level - 1)

            deep(30)
            raise AssertionError

    news = render(state_of(Raising, 1), "a")

    assert isinstance(news, RenderFailed)
    assert (news.failure.type, news.failure.step) == ("KeyError", "a")
    assert news.failure.types == ("KeyError", "LookupError", "Exception")
    assert news.failure.traceback.endswith("KeyError: 'nothing here'")
    assert len(news.failure.traceback.splitlines()) <= 20
    assert len(news.failure.traceback) <= 4000


def answering(answer: Any, returns: Any = Signature[None]) -> SagaState:
    """A saga whose only step returns what `answer` makes of self."""

    class Answering(Saga[int]):
        name = "t.answering"

        @step(no_compensation="x")
        def a(self, n: int) -> returns:  # type: ignore[valid-type]
            return answer(self)

    return state_of(Answering, 1)


class Model(BaseModel):
    a: Any


REFUSED = [
    (lambda saga: None, "returned None; return the signature to run: task.si(…) or self.task('name', …)"),
    (lambda saga: [reserve_stock.si(1, [])], "returned a list; to run a list, annotate the step"),
    (lambda saga: OrderSaga, "returned a SagaMeta; return the signature to run"),
    (lambda saga: reserve_stock.s(1, []), "returned a partial signature: use .si() in place of .s()"),
    (lambda saga: chain(reserve_stock.si(1, []), reserve_stock.si(1, [])), "returned a chain; canvas is refused"),
    (lambda saga: group(reserve_stock.si(1, [])), "returned a group; canvas is refused"),
    (lambda saga: chord([reserve_stock.si(1, [])], reserve_stock.si(1, [])), "returned a chord; canvas is refused"),
    (lambda saga: reserve_stock.map([1]), "returned a xmap; canvas is refused"),
    (lambda saga: reserve_stock.chunks([(1,)], 1), "returned a chunks; canvas is refused"),
    (lambda saga: saga.task(""), "returned a signature without the name of a task"),
    (
        lambda saga: saga.task("t").set(countdown=3),
        "the option 'countdown' of t is refused: times of a saga live in its",
    ),
    (lambda saga: saga.task("t").set(expires=3), "the option 'expires' of t is refused"),
    (
        lambda saga: saga.task("t").set(link=saga.task("u")),
        "the option 'link' of t is refused: what runs next is the next",
    ),
    (lambda saga: saga.task("t").on_error(saga.task("u")), "the option 'link_error' of t is refused"),
    (lambda saga: saga.task("t").set(retry=False), "the option 'retry' of t is refused: known are: queue, routing_key"),
    (
        lambda saga: saga.task("t").set(queue=Queue("q")),
        "the option 'queue' of t is a Queue; give its name as text",
    ),
    (lambda saga: saga.task("t").set(serializer="pickle"), "the serializer 'pickle' is refused: sagas speak JSON only"),
    (
        lambda saga: reserve_stock.si(1),
        "that does not fit it: reserve_stock() missing 1 required positional argument: 'lines'",
    ),
    (lambda saga: release_stock.si("r", 2), "that does not fit it: release_stock() takes"),
    (lambda saga: saga.task("t", object()), "the arguments of t are no plain JSON: Unable to serialize unknown type"),
    (lambda saga: saga.task("t", x=Model(a=float("nan"))), "no plain JSON: it holds nan, which JSON does not have"),
    (lambda saga: saga.task("t", ["\ud800"]), "no plain JSON: [0][0][0] holds half of a surrogate pair"),
    (
        lambda saga: saga.task("t", x="x" * 2000),
        "the arguments of t is 2013 bytes of JSON; saga_payload_limit allows 1000",
    ),
    (lambda saga: SKIP, "returned SKIP; annotate it `-> Signature[X] | Skip`"),
    (lambda saga: saga.task("t", saga.key_of("b")), "key_of('b'): no such step; known are: a"),
]


@pytest.mark.parametrize(("answer", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_can_not_be_stored_is_refused(answer: Any, message: str):
    assert message in failed(answering(answer), "a", payload_limit=1000)


def test_depth_is_limited():
    def nested(levels: int) -> list[Any]:
        return [nested(levels - 1)] if levels > 1 else []

    # Two levels are the lists of arguments themselves.
    assert rendered(answering(lambda saga: saga.task("t", nested(30))), "a").message is not None
    assert "nests deeper than 32 levels" in failed(answering(lambda saga: saga.task("t", nested(31))), "a")
    assert "no plain JSON: it nests deeper than 32 levels" in failed(
        answering(lambda saga: saga.task("t", nested(300))), "a"
    )


def test_wide_is_not_deep():
    assert rendered(answering(lambda saga: saga.task("t", [[n] for n in range(100)])), "a").message is not None


def test_abort_and_skip_belong_to_steps():
    class Strange(Saga[int, str]):
        name = "t.strange"

        @step
        def a(self, n: int) -> Signature[None]: ...

        @a.compensate
        def undo(self, n: int) -> Signature[None] | Skip:
            if n:
                raise Abort("no way")
            return SKIP

        @a.probe
        def ask(self, n: int) -> Signature[None] | Skip:
            return SKIP

        def result(self, n: int) -> str:
            raise Abort("too late")

    state = state_of(Strange, 1, {"a": None})
    assert failed(state, "a", Direction.COMPENSATION).endswith(
        "Strange.undo raised Abort (no way); only a step can turn its saga round"
    )
    assert rendered(state_of(Strange, 0, {"a": None}), "a", Direction.COMPENSATION).message is None
    assert failed(state, "a", Direction.PROBE).endswith("Strange.ask returned SKIP; a probe has to ask")
    news = ClassRenderer(Settings()).render(Strange.definition().plan, state, RenderResult())
    assert isinstance(news, RenderFailed)
    assert news.slot is None
    assert "raised Abort (too late)" in news.failure.message


# --------------------------------------------------------------------------------------------------------------- result


def result(saga: Any, state: SagaState, **settings: Any) -> News | None:
    return ClassRenderer(Settings(**settings)).render(saga.definition().plan, state, RenderResult())


def test_the_result_is_plain_json_of_the_declared_type():
    assert result(OrderSaga, order({"ship": "s1"})) == ResultRendered(result="s1")


def test_without_result_method_the_result_is_none():
    class Silent(Saga[int]):
        name = "t.silent"

        @step(no_compensation="x")
        def a(self, n: int) -> Signature[None]: ...

    assert result(Silent, state_of(Silent, 1, {"a": None})) == ResultRendered(result=None)


def test_a_result_of_another_type_parks():
    class Wrong(Saga[int, int]):
        name = "t.wrong"

        @step(no_compensation="x")
        def a(self, n: int) -> Signature[None]: ...

        def result(self, n: int) -> int:
            return "seven"  # type: ignore[return-value]

    news = result(Wrong, state_of(Wrong, 1, {"a": None}))

    assert isinstance(news, RenderFailed)
    assert news.slot is None
    assert news.failure.message.endswith("Wrong is no int: Input should be a valid integer")


# ----------------------------------------------------------------------------------------------------------------- keys


def test_keys_are_readable_and_never_too_long():
    long = slot_key(SAGA_ID, Slot("s" * 100 + "ä" * 200))

    assert slot_key(SAGA_ID, Slot("charge", 3, Direction.COMPENSATION, 2)) == f"{SAGA_ID}:charge:3:2:compensation"
    assert len(long) <= LONGEST
    assert long.startswith(f"{SAGA_ID}:sss")
    assert long != slot_key(SAGA_ID, Slot("s" * 100 + "ä" * 200, generation=2))


def test_renderings_in_threads_do_not_share_an_instance():
    barrier = threading.Barrier(2, timeout=60)
    keys: dict[int, str] = {}

    class Shared(Saga[int]):
        name = "t.shared"

        @step(no_compensation="x")
        def a(self, n: int) -> Signature[None]:
            barrier.wait()
            return self.task("t", self.key())

        @step(no_compensation="x")
        def b(self, n: int) -> Signature[None]:
            barrier.wait()
            return self.task("t")

    def run(number: int, name: str) -> None:
        news = rendered(state_of(Shared, 1, {"a": None}), name)
        keys[number] = str(news.message.args if news.message else None) + str(news.policy.resend)

    threads = [threading.Thread(target=run, args=each) for each in ((0, "a"), (1, "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert keys == {0: f"('{SAGA_ID}:a:0:1:action',)True", 1: "()False"}


def test_the_result_has_no_key():
    class Keyed(Saga[int, str]):
        name = "t.keyed"

        @step(no_compensation="x")
        def a(self, n: int) -> Signature[None]: ...

        def result(self, n: int) -> str:
            return self.key()

    news = result(Keyed, state_of(Keyed, 1, {"a": None}))

    assert isinstance(news, RenderFailed)
    assert news.failure.message.endswith("result: there is no message here that a key could be for")


def test_a_task_that_was_sent_already_is_refused():
    from celery.result import AsyncResult

    message = failed(answering(lambda saga: AsyncResult("x", app=app)), "a")

    assert "returned a AsyncResult: the task was sent already" in message.replace(";", ":")
