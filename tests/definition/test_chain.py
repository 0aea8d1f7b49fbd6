"""What a chain does: results, groups, undoing, options, and what is stored of it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from celery import chain, chord, group

from saga_celery import Retry, SagaChain, SagaStatus, compensation, saga_chain, saga_step
from saga_celery.core.commands import Render, RenderResult
from saga_celery.core.events import Rendered, RenderFailed, ResultRendered
from saga_celery.core.plan import CHAIN_FORM, Plan, PlannedStep
from saga_celery.core.states import Direction, Message, Slot, StepStatus
from saga_celery.definition.renderer import ClassRenderer
from saga_celery.settings import Settings
from saga_celery.testing import InlineRun, run_inline
from tests.definition.chain_shop import (
    TASKS,
    charge,
    fail,
    notify,
    pack,
    pay,
    refund,
    release,
    repay,
    reserve,
)
from tests.definition.states import SAGA_ID, state_of


def run(made: SagaChain, *args: Any, **tasks: Any) -> InlineRun[Any]:
    return run_inline(made, args, tasks={**TASKS, **{f"shop.tasks.{name}": task for name, task in tasks.items()}})


def after(made: SagaChain) -> dict[str, tuple[str, ...]]:
    return {step.name: step.after for step in made.definition().plan.steps}


def undone(ran: InlineRun[Any]) -> list[tuple[str, tuple[Any, ...]]]:
    """Which compensations ran, and with what."""
    steps = ran.stored.steps.values()
    found = [(step.order, step.name, step.compensation) for step in steps if step.compensation]
    return [(name, undo.message.args) for _, name, undo in sorted(found, reverse=True) if undo.message and undo.attempt]


# ----------------------------------------------------------------------------------------------------------- forward


def test_results_are_passed_on_as_in_a_chain():
    ran = run(saga_chain("checkout", (reserve.s(1), release.s()), (charge.s(cents=7), refund.s()), notify.si()))

    assert (ran.state, ran.result) == (SagaStatus.COMPLETED, "told")
    assert ran.calls == (
        ("reserve", "shop.tasks.reserve"),
        ("charge", "shop.tasks.charge"),
        ("notify", "shop.tasks.notify"),
    )
    assert ran.stored.steps[("charge", 0)].result == "c-r-1-north-7"
    assert undone(ran) == []


def test_start_gives_arguments_to_the_first_part_as_delay_does():
    made = saga_chain("checkout", [reserve.s("south"), (reserve.s(), release.s())], pack.s())

    assert run(made, 7).result == {"packed": ["r-7-south", "r-7-north"]}
    assert run(made, 8).result == {"packed": ["r-8-south", "r-8-north"]}, "the chain itself is never changed"


@pytest.mark.parametrize(
    "part",
    [
        group(reserve.s(1), reserve.s(2)),
        group(reserve.s(number) for number in (1, 2)),
        [reserve.s(1), reserve.s(2)],
        [(reserve.s(1), release.s()), (reserve.s(2), release.s())],
        ((reserve.s(1), release.s()), (reserve.s(2), release.s())),
        (group(reserve.s(1), reserve.s(2)), group(release.s(), release.s())),
        ([reserve.s(1), reserve.s(2)], [None, release.s()]),
    ],
    ids=["group", "generated", "list", "list of pairs", "tuple of pairs", "pair of groups", "pair of lists"],
)
def test_a_group_is_one_part_and_what_follows_takes_the_list_of_its_results(part: object):
    made = saga_chain("t", part, pack.s())

    assert after(made) == {"reserve": (), "reserve_2": (), "pack": ("reserve", "reserve_2")}
    assert run(made).result == {"packed": ["r-1-north", "r-2-north"]}


def test_every_member_of_a_group_takes_what_the_part_in_front_gives():
    made = saga_chain("t", reserve.s(1), group(pack.s(), notify.si()), group(pack.s(), pack.s()))
    packed = {"packed": [{"packed": "r-1-north"}, "told"]}

    assert run(made).result == [packed, packed]


def test_a_group_of_one_still_gives_a_list():
    assert run(saga_chain("t", group(reserve.s(1)), pack.s())).result == {"packed": ["r-1-north"]}


def test_saga_chain_alone_runs_a_group():
    assert run(saga_chain("t", (group(reserve.s(1)), group(release.s())))).result == ["r-1-north"]


# ---------------------------------------------------------------------------------------------------------- backward


def test_what_was_done_is_undone_with_its_own_results_the_latest_first():
    made = saga_chain(
        "t",
        (reserve.s(1), release.s()),
        notify.si(),
        (group(charge.si("a"), charge.si("b")), group(refund.s(), refund.si("by hand"))),
        fail.s(),
    )
    ran = run(made)

    assert ran.state is SagaStatus.COMPENSATED
    assert ran.failure is not None
    assert ran.failure.message == "no luck with (['c-a-5', 'c-b-5'],)"
    assert undone(ran) == [("charge_2", ("by hand",)), ("charge", ("c-a-5",)), ("reserve", ("r-1-north",))]


def test_a_bare_signature_has_nothing_to_undo():
    ran = run(saga_chain("t", reserve.s(1), fail.si()))

    assert (ran.state, undone(ran)) == (SagaStatus.COMPENSATED, [])


# ------------------------------------------------------------------------------------------------------ Celery's own


UNDOING = {"shop.tasks.reserve": release.s(), charge: compensation(refund.s(), retry=Retry(attempts=2))}


def test_a_chain_is_taken_over_as_it_is():
    made = saga_chain("t", chain(reserve.s(1), charge.s(), fail.s()), compensations=UNDOING)

    assert after(made) == {"reserve": (), "charge": ("reserve",), "fail": ("charge",)}
    assert undone(run(made)) == [("charge", ("c-r-1-north-5",)), ("reserve", ("r-1-north",))]


@pytest.mark.parametrize(
    "canvas",
    [
        chain(reserve.s(1), group(charge.s(), charge.s(6)), pack.s()),
        reserve.s(1) | group(charge.s(), charge.s(6)) | pack.s(),
        chain(reserve.s(1), chord([charge.s(), charge.s(6)], pack.s())),
    ],
    ids=["chain", "pipe", "chord"],
)
def test_groups_and_chords_within_a_chain(canvas: Any):
    made = saga_chain("t", canvas, compensations=UNDOING)

    assert after(made) == {
        "reserve": (),
        "charge": ("reserve",),
        "charge_2": ("reserve",),
        "pack": ("charge", "charge_2"),
    }
    assert run(made).result == {"packed": ["c-r-1-north-5", "c-r-1-north-6"]}


def test_chords_one_behind_the_other():
    made = saga_chain("t", chain(group(reserve.s(1), reserve.s(2)), group(pack.s(), pack.s()), pack.s()))
    each = {"packed": ["r-1-north", "r-2-north"]}

    assert run(made).result == {"packed": [each, each]}


def test_chains_within_a_group_are_branches():
    made = saga_chain("t", notify.si(), group(chain(reserve.si(1), charge.s()), reserve.si(2)), pack.s())

    assert after(made) == {
        "notify": (),
        "reserve": ("notify",),
        "charge": ("reserve",),
        "reserve_2": ("notify",),
        "pack": ("charge", "reserve_2"),
    }
    assert run(made).result == {"packed": ["c-r-1-north-5", "r-2-north"]}


def test_a_branch_begins_with_what_stands_in_front_of_its_group():
    made = saga_chain("t", chain(reserve.s(1), group(chain(pack.s(), pack.s()), pack.s())))

    assert run(made).result == [{"packed": {"packed": "r-1-north"}}, {"packed": "r-1-north"}]


def test_a_chain_stands_between_other_parts():
    made = saga_chain("t", (reserve.s(1), release.s()), chain(charge.s(), pack.s()), pack.s())

    assert run(made).result == {"packed": {"packed": "c-r-1-north-5"}}


def test_a_pair_says_more_than_compensations_do():
    made = saga_chain("t", (reserve.s(1), refund.si("x")), fail.si(), compensations={"shop.tasks.reserve": release.s()})

    assert undone(run(made)) == [("reserve", ("x",))]


# ------------------------------------------------------------------------------------------------------------ options


def rendered(made: SagaChain, slot: Slot, results: dict[str, Any] | None = None, **settings: Any) -> Rendered:
    definition = made.definition()
    state = state_of(made, made.script(), results)
    news = ClassRenderer(Settings(**settings)).render(definition.plan, state, Render(slot=slot))
    assert isinstance(news, Rendered), news
    return news


def test_a_step_is_not_known_to_be_safe_to_run_twice():
    policy = rendered(saga_chain("t", (reserve.s(1), release.s())), Slot("reserve")).policy

    assert (policy.resend, policy.retry, policy.needs_result, policy.null_safe) == (
        False,
        Retry(attempts=1),
        True,
        False,
    )
    assert (policy.timeout, policy.queue_grace, policy.fatal) == (300.0, 30.0, ())


def test_what_undoes_a_step_runs_on_as_the_step_does_unless_it_says_otherwise():
    undo = compensation(release.si("x"), run_on=False)
    made = saga_chain(
        "t", saga_step(reserve.s(1), release.si("x"), run_on=True), saga_step(reserve.s(), undo, name="b")
    )
    json.dumps(made.script())
    forward, back = Slot("reserve"), Slot("reserve", direction=Direction.COMPENSATION)
    assert [rendered(made, slot, {"reserve": "r"}).policy.run_on for slot in (forward, back)] == [True, True]
    forward, back = Slot("b"), Slot("b", direction=Direction.COMPENSATION)
    assert [rendered(made, slot, {"reserve": "r", "b": "r"}).policy.run_on for slot in (forward, back)] == [None, False]


def test_options_of_a_step_travel_with_its_message():
    step = saga_step(
        reserve.s(1),
        release.si("x"),
        name="hold",
        retry=Retry(attempts=5),
        timeout=timedelta(minutes=1),
        queue_grace=7,
        fatal=[LookupError, "billing.CardDeclined"],
        idempotent=True,
    )
    made = saga_chain("t", step, notify.si())
    json.dumps(made.script())
    action = rendered(made, Slot("hold")).policy
    undo = rendered(made, Slot("hold", direction=Direction.COMPENSATION), {"hold": "r"}).policy

    assert (action.retry, action.timeout, action.queue_grace) == (Retry(attempts=5), 60.0, 7.0)
    assert (action.fatal, action.resend) == (("LookupError", "billing.CardDeclined"), True)
    assert not action.needs_result
    assert (undo.retry, undo.timeout, undo.resend) == (Retry(attempts=10), 300.0, True), "inherits only `idempotent`"
    assert rendered(made, Slot("notify"), step_timeout=9.0).policy.timeout == 9.0


def test_options_of_a_compensation():
    undo = compensation(release.s(), retry=Retry(attempts=20), timeout=3, null_safe=True, idempotent=False)
    made = saga_chain("t", saga_step(reserve.s(1), undo, idempotent=True))
    slot = Slot("reserve", direction=Direction.COMPENSATION)
    policy = rendered(made, slot, {"reserve": "r"}).policy

    assert (policy.retry, policy.timeout, policy.resend) == (Retry(attempts=20), 3.0, False)
    assert rendered(made, Slot("reserve")).policy.null_safe
    assert rendered(made, slot, {"reserve": None}).message == Message(task="shop.tasks.release", args=(None,))


def test_the_key_goes_where_the_task_takes_it():
    step = saga_step(pay.s(5), compensation(repay.s(), key_argument="key"), key_argument="key")
    made = saga_chain("t", step, fail.s())
    action = rendered(made, Slot("pay"))
    undo = rendered(made, Slot("pay", direction=Direction.COMPENSATION), {"pay": "p"})

    assert action.message == Message(task="shop.tasks.pay", args=(5,), kwargs={"key": f"{SAGA_ID}:pay:0:1:action"})
    assert undo.message is not None
    assert undo.message.kwargs == {"key": f"{SAGA_ID}:pay:0:1:compensation"}
    assert action.policy.resend
    assert undo.policy.resend
    assert run(made).state is SagaStatus.COMPENSATED


def test_behind_the_pivot_a_saga_only_goes_forward():
    made = saga_chain("t", (reserve.s(1), release.s()), saga_step(charge.s(), pivot=True), fail.s())
    ran = run(made)

    assert ran.state is SagaStatus.FAILED
    assert ran.stored.steps[("fail", 0)].status is StepStatus.EXHAUSTED


def test_options_of_signatures_go_into_the_message():
    made = saga_chain("t", reserve.s(1).set(queue="stock", priority=3, time_limit=9))

    assert rendered(made, Slot("reserve")).message == Message(
        task="shop.tasks.reserve", args=(1,), options={"queue": "stock", "priority": 3, "time_limit": 9}
    )


# --------------------------------------------------------------------------------------------------- what is stored


def test_steps_are_named_after_their_tasks():
    odd = notify.si().clone()
    odd["task"] = "42nd.7-eleven"
    made = saga_chain("t", reserve.s(1), reserve.si(2), saga_step(notify.si(), name="reserve_2"), odd)

    assert list(after(made)) == ["reserve", "reserve_3", "reserve_2", "step_7_eleven"]
    assert repr(made) == "<saga chain t: reserve, reserve_3, reserve_2, step_7_eleven>"


def test_the_plan_holds_the_graph_alone():
    one = saga_chain("t", (reserve.s(1), release.s()), notify.si()).definition().plan
    other = saga_chain("t", (reserve.s(2, warehouse="x"), release.si("y")), notify.si()).definition().plan

    assert one.hash == other.hash
    assert Plan.from_json(one.to_json()) == one
    assert one.form == CHAIN_FORM
    by_class = Plan(saga="t", steps=one.steps)
    assert by_class.hash != one.hash
    assert "form" not in by_class.to_json()


def test_a_plan_of_the_first_release_keeps_its_hash():
    plan = Plan(saga="t", steps=(PlannedStep(name="a"),))

    assert plan.hash == "021c897d5035907ad86e228d9a6412f1"
    assert Plan.from_json('{"saga": "t", "steps": []}').form == "class"


def test_what_is_stored_is_plain_and_says_it_all():
    step = saga_step(
        pay.s(1), compensation(repay.s(), null_safe=True, key_argument="key"), key_argument="key", timeout=3
    )
    stored = json.loads(json.dumps(saga_chain("t", step, group(notify.si())).script()))

    assert stored == {
        "steps": {
            "pay": {
                "action": {
                    "message": {"task": "shop.tasks.pay", "args": [1]},
                    "takes": "nothing",
                    "key_argument": "key",
                    "options": {"timeout": 3.0, "idempotent": False},
                },
                "compensation": {
                    "message": {"task": "shop.tasks.repay"},
                    "takes": "result",
                    "key_argument": "key",
                    "options": {"null_safe": True},
                },
            },
            "notify": {"action": {"message": {"task": "shop.tasks.notify"}, "takes": "nothing", "options": {}}},
        },
        "result": "results",
    }


def test_messages_of_today_do_not_follow_what_a_caller_changes_later():
    basket = [1]
    made = saga_chain("t", pack.s(basket))
    basket.append(2)

    assert run(made).result == {"packed": [1]}


# ---------------------------------------------------------------------------------------------------------- rendering


def test_a_script_that_can_not_be_read_is_news_and_no_exception():
    made = saga_chain("t", reserve.s(1))
    state = state_of(made, {"steps": {}})
    renderer = ClassRenderer(Settings())
    plan = made.definition().plan

    message = renderer.render(plan, state, Render(slot=Slot("reserve")))
    result = renderer.render(plan, state, RenderResult())

    assert isinstance(message, RenderFailed)
    assert (message.slot, message.failure.step) == (Slot("reserve"), "reserve")
    assert isinstance(result, RenderFailed)
    assert result.slot is None


def test_a_probe_of_a_chain_is_a_question_that_nobody_can_answer():
    made = saga_chain("t", reserve.s(1))
    wish = Render(slot=Slot("reserve", direction=Direction.PROBE))
    news = ClassRenderer(Settings()).render(made.definition().plan, state_of(made, made.script()), wish)

    assert isinstance(news, RenderFailed)
    assert "stored without a probe" in news.failure.message


def test_results_that_are_too_large_together_stop_the_saga_with_a_word():
    made = saga_chain("t", group(reserve.s(1), reserve.s(2)), pack.s())
    state = state_of(made, made.script(), {"reserve": "x" * 60, "reserve_2": "y" * 60, "pack": "z" * 200})
    renderer = ClassRenderer(Settings(payload_limit=100))

    for wish in (Render(slot=Slot("pack")), RenderResult()):
        news = renderer.render(made.definition().plan, state, wish)
        assert isinstance(news, RenderFailed)
        assert "saga_payload_limit allows 100" in news.failure.message


def test_the_result_of_a_group_at_the_end_is_a_list():
    made = saga_chain("t", reserve.s(1), group(notify.si(), notify.si()))
    state = state_of(made, made.script(), {"reserve": 0, "notify": 1, "notify_2": 2})
    news = ClassRenderer(Settings()).render(made.definition().plan, state, RenderResult())

    assert news == ResultRendered(result=[1, 2])
