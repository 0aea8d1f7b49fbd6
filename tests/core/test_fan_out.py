"""A step that became a list: how many go at once, when it is done, and how it is undone."""

import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from saga_celery.core import events as e
from saga_celery.core.commands import Render, RenderResult, Send
from saga_celery.core.draft import NotAllowed
from saga_celery.core.machine import decide
from saga_celery.core.states import Failure, Message, Policy, Reason, SagaState, SagaStatus, Slot, StepStatus
from tests.core.stories import (
    ACTION,
    COMPENSATION,
    FATAL,
    MISHAP,
    ONCE,
    TWICE,
    Story,
    asks,
    done,
    fails,
    linear,
    lost,
    plan,
    rested,
    story,
    undone,
)

S = StepStatus
FIRM = replace(TWICE, fatal=(FATAL.type,))
"""Two attempts, but for what no retry can mend."""
RUNNING, COMPENSATING = SagaStatus.RUNNING, SagaStatus.COMPENSATING
COMPLETED, COMPENSATED, FAILED = SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.FAILED


def lines(items: int = 3, limit: int | None = None, policy: Policy = FIRM, *, shape=None, **policies: Policy) -> Story:
    """A saga that reserves every line of an order and then charges."""
    told = story(shape or linear("reserve", "charge"), **{"charge": FIRM, **policies})
    return told.fans_out("reserve", items, replace(policy, limit=limit)).given()


def all_done(items: int, step: str = "reserve") -> list[Callable[[Story], e.News]]:
    return [done(f"{step}[{number}]", number * 10) for number in range(1, items + 1)]


# ------------------------------------------------------------------------------------------------------------- forward


class TestForward:
    def test_every_item_goes_out_and_has_a_message_of_its_own(self):
        told = lines(3)
        assert told.out("reserve") == [1, 2, 3]
        assert told.status("reserve") is S.FANNED_OUT
        assert told.step("reserve").items == 3
        assert told.step("reserve[2]").action.message == Message(task="reserve.action", args=(2,))
        told.asks(*(Send(slot=Slot("reserve", item), attempt=1) for item in (1, 2, 3)))

    def test_what_is_recorded(self):
        told = story(linear("reserve")).fans_out("reserve", 2, replace(TWICE, limit=1)).given()
        told.expect(
            e.SagaStarted,
            e.StepScheduled,
            e.StepFannedOut(slot=Slot("reserve"), items=2, policy=replace(TWICE, limit=1)),
            e.ItemQueued,
            e.ItemQueued,
            e.StepDispatched(slot=Slot("reserve", 1), attempt=1),
        ).ends(RUNNING, reserve=S.FANNED_OUT)

    def test_no_more_than_the_limit_are_under_way(self):
        told = lines(5, 2)
        assert told.out("reserve") == [1, 2]
        assert told.when(done("reserve[2]")).out("reserve") == [1, 3]
        assert told.when(done("reserve[3]")).out("reserve") == [1, 4]
        assert told.out("reserve", S.QUEUED) == [5]

    def test_an_item_that_rests_keeps_its_place(self):
        told = lines(3, 1).when(fails("reserve[1]", MISHAP))
        assert told.status("reserve[1]") is S.BACKING_OFF
        assert told.out("reserve") == []
        assert told.when(rested("reserve[1]")).out("reserve") == [1]

    def test_the_result_is_the_list_in_the_order_of_the_items(self):
        told = lines(3).given(*reversed(all_done(3)))
        assert told.step("reserve").result == [10, 20, 30]
        assert told.status("charge") is S.DISPATCHED
        told.given(done("charge")).ends(COMPLETED, reserve=S.SUCCEEDED)

    def test_an_empty_list_is_done_at_once(self):
        told = lines(0)
        assert (told.status("reserve"), told.step("reserve").result) == (S.SUCCEEDED, [])
        assert told.status("charge") is S.DISPATCHED

    def test_the_step_is_not_done_before_the_compensation_of_its_last_item_is_rendered(self):
        told = lines(2).where("reserve", COMPENSATION, MISHAP).given(done("reserve[1]"))
        told.ends(FAILED, reserve=S.FANNED_OUT).letters(("reserve[1]", Reason.RENDER_FAILED))
        told.where("reserve", COMPENSATION, ...).given(asks(e.Verb.RETRY), done("reserve[2]"))
        told.ends(RUNNING, reserve=S.SUCCEEDED)

    def test_the_list_may_be_skipped_as_a_whole(self):
        told = story(linear("reserve", "charge")).where("reserve", answer=None).given()
        assert told.status("reserve") is S.SKIPPED
        assert told.status("charge") is S.DISPATCHED

    def test_a_second_answer_changes_nothing(self):
        told = lines(2)
        again = e.FanOutRendered(slot=Slot("reserve"), messages=(Message(task="x"),), policy=TWICE)
        told.when(again).nothing()
        told.when(replace(again, slot=Slot("nowhere"))).nothing()

    def test_while_it_is_suspended_nothing_goes_out(self):
        told = story(linear("reserve")).fans_out("reserve", 3, replace(TWICE, limit=1)).given()
        told.given(asks(e.Verb.SUSPEND)).when(done("reserve[1]"))
        assert told.out("reserve", S.QUEUED) == [2, 3]
        assert told.when(asks(e.Verb.RESUME)).out("reserve") == [2]

    def test_items_of_two_lists_side_by_side_do_not_count_for_each_other(self):
        told = story(plan(("a", "b"))).fans_out("a", 3, replace(TWICE, limit=1))
        told.fans_out("b", 3, replace(TWICE, limit=2)).given()
        assert (told.out("a"), told.out("b")) == ([1], [1, 2])


# ------------------------------------------------------------------------------------------------------------ backward


class TestBackward:
    def test_an_item_that_fails_calls_off_what_has_not_begun_and_waits_for_the_rest(self):
        told = lines(5, 2).given(done("reserve[1]")).when(fails("reserve[2]"))
        told.ends(RUNNING, reserve=S.FANNED_OUT)
        assert told.out("reserve") == [3]
        assert told.out("reserve", S.CANCELLED) == [4, 5]
        assert told.state.turn is not None
        assert (told.state.turn.step, told.state.turn.item) == ("reserve", 2)
        told.when(done("reserve[3]"))
        assert sorted(told.undone()) == ["reserve[1]", "reserve[3]"]
        told.given(undone("reserve[1]")).ends(COMPENSATING, reserve=S.GIVEN_UP)
        told.given(undone("reserve[3]")).ends(COMPENSATED, reserve=S.COMPENSATED)

    def test_each_item_is_undone_with_its_own_result(self):
        told = lines(2).given(*all_done(2), fails("charge"))
        undo = told.step("reserve[2]").activity(COMPENSATION).message
        assert undo == Message(task="reserve.compensation", kwargs={"result": 20})

    def test_the_limit_holds_on_the_way_back(self):
        told = lines(5, 2).given(*all_done(5), fails("charge"))
        assert told.out("reserve", S.COMPENSATING) == [4, 5]
        told.when(fails("reserve[5]", MISHAP, direction=COMPENSATION))
        assert told.out("reserve", S.COMPENSATING) == [4]
        assert told.when(undone("reserve[4]")).out("reserve", S.COMPENSATING) == [3]
        told.given(rested("reserve[5]", COMPENSATION), undone("reserve[5]"), undone("reserve[3]"))
        told.given(undone("reserve[2]"), undone("reserve[1]"))
        told.ends(COMPENSATED, reserve=S.COMPENSATED, charge=S.FAILED)
        told.expect(e.StepCompensated, e.FanOutUndone, e.SagaCompensated)

    def test_what_came_before_waits_for_the_last_item(self):
        told = story(linear("open", "reserve")).fans_out("reserve", 2, FIRM).given(done("open"))
        told.given(done("reserve[1]"), fails("reserve[2]"))
        assert told.undone() == ["reserve[1]"]
        assert told.when(undone("reserve[1]")).undone() == ["reserve[1]", "open"]

    def test_items_without_anything_to_undo_are_passed_over(self):
        told = lines(3, 1).where("reserve", COMPENSATION, None)
        told.given(*all_done(3)).given(fails("charge"))
        told.ends(COMPENSATED, reserve=S.COMPENSATED)
        assert told.undone() == []
        assert told.out("reserve", S.COMPENSATION_SKIPPED) == [1, 2, 3]

    def test_of_a_list_in_which_nothing_took_effect_nothing_stands(self):
        told = lines(1).given(fails("reserve[1]"))
        told.ends(COMPENSATED, reserve=S.COMPENSATED).expect(
            e.AttemptEnded,
            e.StepFailed,
            e.SagaTurned,
            e.SagaCompensating,
            e.StepGivenUp(slot=Slot("reserve"), failure=FATAL),
            e.FanOutUndone,
            e.SagaCompensated,
        )

    def test_a_list_that_needs_no_undoing_stays_as_it_is(self):
        told = lines(2, shape=linear("reserve", "charge", keeps=("reserve",)))
        told.given(*all_done(2), fails("charge")).ends(COMPENSATED, reserve=S.SUCCEEDED)
        assert told.undone() == []

    def test_cancelled_while_items_are_under_way(self):
        told = lines(3, 1).when(asks(e.Verb.CANCEL))
        assert told.out("reserve", S.CANCELLED) == [2, 3]
        told.given(done("reserve[1]"))
        assert told.undone() == ["reserve[1]"]
        told.given(undone("reserve[1]")).ends(COMPENSATED, reserve=S.COMPENSATED)
        given_up = next(fact for fact in told.history if isinstance(fact, e.StepGivenUp))
        assert given_up.failure == Failure(type="cancel", message="she knows")

    def test_cancelled_before_the_list_was_made(self):
        told = story(linear("reserve")).where("reserve", answer=MISHAP).given()
        told.given(asks(e.Verb.CANCEL)).ends(COMPENSATED, reserve=S.CANCELLED)

    def test_a_success_after_the_end_is_a_letter_about_that_item(self):
        told = lines(2, 1, replace(ONCE, null_safe=True)).given(lost("reserve[1]"))
        told.given(undone("reserve[1]")).ends(COMPENSATED, reserve=S.COMPENSATED)
        told.given(done("reserve[1]", 10)).letters(("reserve[1]", Reason.LATE_EFFECT))
        told.given(asks(e.Verb.RESOLVE, "reserve[1]")).letters()

    def test_a_success_that_comes_late_is_undone_with_its_result(self):
        shape = linear("open", "reserve")
        told = lines(2, None, replace(ONCE, null_safe=True), shape=shape).given(done("open"))
        told.given(done("reserve[2]"), lost("reserve[1]")).given(undone("reserve[2]"), undone("reserve[1]"))
        told.ends(COMPENSATING, reserve=S.COMPENSATED, open=S.COMPENSATING)
        told.given(done("reserve[1]", 10)).given(undone("reserve[1]"), undone("open"))
        told.ends(COMPENSATED, reserve=S.COMPENSATED)
        assert told.undone() == ["reserve[2]", "reserve[1]", "open", "reserve[1]"]

    def test_a_pivot_beside_it_that_took_effect_takes_the_items_up_again(self):
        told = lines(3, 1, shape=plan(("reserve", "pay"), pivot="pay"))
        told.given(asks(e.Verb.CANCEL), done("reserve[1]"), done("pay"))
        assert told.out("reserve") == [2]
        told.given(done("reserve[2]"), done("reserve[3]")).ends(COMPLETED, reserve=S.SUCCEEDED)


# -------------------------------------------------------------------------------------------------------------- parked


class TestParked:
    def behind(self, items: int, limit: int | None = None) -> Story:
        """Items behind the pivot, where there is only forward."""
        shape = linear("pay", "reserve", pivot="pay", keeps=("reserve",))
        return lines(items, limit, shape=shape).given(done("pay"))

    def test_an_unknown_outcome_parks_that_item(self):
        told = lines(3, 2, ONCE).given(lost("reserve[1]"))
        told.ends(FAILED, reserve=S.FANNED_OUT).letters(("reserve[1]", Reason.IN_DOUBT))
        assert told.when(done("reserve[2]")).out("reserve", S.QUEUED) == [3]
        told.given(asks(e.Verb.RESOLVE, "reserve[1]", e.Resolution.DONE, result=10))
        assert told.out("reserve") == [3]
        told.given(done("reserve[3]", 30)).ends(RUNNING, reserve=S.SUCCEEDED)
        assert told.step("reserve").result == [10, None, 30]

    def test_a_verb_may_name_one_item_or_all_of_them(self):
        told = lines(3, None, ONCE).given(lost("reserve[1]"), lost("reserve[3]"))
        with pytest.raises(NotAllowed, match=r"reserve\[1\]: resolve, retry, skip; reserve\[3\]: resolve"):
            told.when(asks(e.Verb.RESOLVE, "reserve[2]", e.Resolution.NEVER))
        told.given(asks(e.Verb.RETRY, "reserve[3]")).letters(("reserve[1]", Reason.IN_DOUBT))
        assert told.out("reserve") == [2, 3]
        told.given(lost("reserve[3]"), asks(e.Verb.RETRY, "reserve")).letters()
        assert told.out("reserve") == [1, 2, 3]

    def test_an_item_that_rests_may_be_tried_at_once(self):
        told = lines(2).given(fails("reserve[1]", MISHAP), fails("reserve[2]", MISHAP))
        assert told.when(asks(e.Verb.RETRY, "reserve[2]")).out("reserve") == [2]

    def test_an_item_that_was_skipped_has_the_result_that_the_operator_gives(self):
        told = self.behind(2).given(fails("reserve[1]"))
        told.letters(("reserve[1]", Reason.EXHAUSTED))
        told.given(asks(e.Verb.SKIP, "reserve[1]", result="by hand"), done("reserve[2]", 20))
        told.ends(COMPLETED, reserve=S.SUCCEEDED)
        assert told.step("reserve").result == ["by hand", 20]

    def test_what_failed_fatally_is_rendered_again_under_a_new_key(self):
        told = self.behind(3, 2).given(fails("reserve[2]"))
        told.letters(("reserve[2]", Reason.EXHAUSTED)).when(asks(e.Verb.RETRY))
        assert told.step("reserve[2]").slot(ACTION) == Slot("reserve", 2, ACTION, 2)
        assert told.step("reserve[2]").action.message == Message(task="reserve.action", args=(2,))
        assert told.out("reserve") == [1, 2]
        told.given(done("reserve[1]"), done("reserve[2]"), done("reserve[3]")).ends(COMPLETED, reserve=S.SUCCEEDED)

    def test_undoing_that_fails_for_good_names_the_item(self):
        once = {"reserve_compensation": ONCE}
        told = lines(2, **once).given(*all_done(2), fails("charge"))
        told.given(fails("reserve[2]", direction=COMPENSATION))
        told.ends(FAILED, reserve=S.SUCCEEDED).letters(("reserve[2]", Reason.COMPENSATION_EXHAUSTED))
        told.given(undone("reserve[1]"), asks(e.Verb.SKIP, "reserve[2]"))
        told.ends(COMPENSATED, reserve=S.COMPENSATED)


# ---------------------------------------------------------------------------------------------------------------- load


def calls_of(items: int, limit: int | None, *, fails_last: bool) -> int:
    """How many functions are called while the machine takes a whole fan-out to its end: a cost that no clock tells."""
    told = linear("reserve", "charge", pivot="charge")
    state = SagaState(id="s1", name=told.saga, plan_hash=told.hash)
    messages = tuple(Message(task="reserve.action", args=(number,)) for number in range(items))
    policy, sent, calls = replace(ONCE, limit=limit), [], 0

    def answer(wish: Render | RenderResult) -> e.News:
        if isinstance(wish, RenderResult):
            return e.ResultRendered(result=None)
        if wish.slot == Slot("reserve"):
            return e.FanOutRendered(slot=wish.slot, messages=messages, policy=policy)
        return e.Rendered(slot=wish.slot, message=Message(task="x"), policy=TWICE)

    def take(*news: e.News) -> None:
        nonlocal state
        waiting = list(news)
        while waiting:
            decision = decide(told, state, waiting.pop())
            state = decision.state
            sent.extend(each for each in decision.commands if isinstance(each, Send))
            waiting += [answer(each) for each in decision.commands if isinstance(each, Render | RenderResult)]

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        take(e.Nudged())
        while sent:
            out = sent.pop()
            if fails_last and out.slot == Slot("reserve", items):
                take(e.AttemptFailed(slot=out.slot, attempt=out.attempt, failure=FATAL))
            else:
                take(e.AttemptSucceeded(slot=out.slot, attempt=out.attempt, result=out.slot.item))
    finally:
        sys.setprofile(before)
    assert state.status is (COMPENSATED if fails_last else COMPLETED)
    return calls


@pytest.mark.parametrize("fails_last", [False, True], ids=["forward", "and back"])
@pytest.mark.parametrize("limit", [4, None])
def test_the_cost_grows_with_the_list_and_not_with_its_square(limit, fails_last):
    small = calls_of(50, limit, fails_last=fails_last)
    assert calls_of(400, limit, fails_last=fails_last) < 12 * small


def test_a_list_is_not_run_again_as_a_whole():
    told = story(linear("reserve")).fans_out("reserve", 2).given(done("reserve[1]"), asks(e.Verb.CANCEL))
    told.given(done("reserve[2]"), undone("reserve[1]"), undone("reserve[2]")).ends(SagaStatus.COMPENSATED)
    with pytest.raises(NotAllowed, match="'reserve' ran a list of messages"):
        told.when(asks(e.Verb.RERUN, "reserve"))
