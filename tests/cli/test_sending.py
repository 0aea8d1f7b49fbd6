"""`saga send`, and what is shown of a saga that waits."""

import json
from datetime import timedelta

import pytest
from celery.canvas import Signature
from pydantic import BaseModel

from saga_celery import Saga, sleep, step, wait_for
from saga_celery.core import events as e
from saga_celery.core.states import SagaStatus, Slot, StepStatus
from saga_celery.definition import registry

FOREVER = timedelta(days=2)


class Approval(BaseModel):
    ok: bool
    by: str


@pytest.fixture
def waits(shop):
    """A shop with a saga that waits for an approval, sleeps, ships, and waits for a receipt."""

    class LoanSaga(Saga[int, str]):
        name = "bank.loan"

        @wait_for(Approval, timeout=FOREVER)
        def approve(self, cents: int) -> None: ...

        @wait_for(str, timeout=FOREVER, skippable=True)
        def wish(self, cents: int) -> None: ...

        cool_off = sleep(timedelta(hours=2))

        @step(pivot=True, idempotent=True)
        def pay(self, cents: int, approve: Approval) -> Signature[str]:
            return self.task("bank.pay", cents)

        @wait_for(str, timeout=60)
        def receipt(self, cents: int) -> None: ...

        def result(self, cents: int, receipt: str) -> str:
            return receipt

    def begin(**options):
        saga_id = LoanSaga.start(5, **options).id
        shop.news(saga_id, e.Nudged())
        return saga_id

    return begin


def approved(shop, saga_id, *more):
    return shop("send", saga_id, "approve", "--event", '{"ok": true, "by": "ann"}', *more)


def moved(shop, saga_id):
    """The coordinator looks; what the saga's steps are then."""
    return {name: step.status for (name, _), step in shop.news(saga_id, e.Nudged()).steps.items()}


def shown(shop, saga_id):
    result = shop("show", saga_id)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


# ── send ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_is_sent_and_answers_its_wait(shop, waits):
    saga_id = waits(key="loan-7")
    result = shop(
        "send", "loan-7", "approve", "--event", '{"ok": true, "by": "ann"}', "--event-id", "m1", "--actor", "x"
    )
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "sent: bank.loan loan-7 has an event for approve, id m1\n"
    assert moved(shop, saga_id) == {"approve": StepStatus.SUCCEEDED, "wish": StepStatus.AWAITING}
    found = shop.sagas.store.load(saga_id).step("approve")
    assert found.result == {"ok": True, "by": "ann"}
    assert "approve done, said x" in shop("show", saga_id, "--history").stdout


def test_as_json_it_tells_the_id_that_was_given(shop, waits):
    saga_id = waits()
    [found] = shop.json("send", saga_id, "approve", "--event", '{"ok": true, "by": "ann"}')
    assert found == {
        "id": saga_id,
        "name": "bank.loan",
        "wait": "approve",
        "event_id": found["event_id"],
        "state": "RUNNING",
    }
    assert [each.id for each in shop.sagas.store.inbox(saga_id)] == [found["event_id"]] != [""]


def test_the_event_may_be_in_a_file_or_come_from_standard_input(shop, waits, tmp_path):
    file = tmp_path / "event.json"
    file.write_text(json.dumps({"ok": True, "by": "ann"}))
    first, second = waits(), waits()
    assert shop("send", first, "approve", "--event", f"@{file}").exit_code == 0
    assert shop("send", second, "approve", "--event", "-", input=file.read_text()).exit_code == 0
    for saga_id in (first, second):
        assert moved(shop, saga_id)["approve"] is StepStatus.SUCCEEDED


def test_an_event_of_another_type_is_refused_and_nothing_is_sent(shop, waits):
    saga_id = waits()
    result = shop("send", saga_id, "approve", "--event", '{"ok": "perhaps"}')
    assert result.exit_code == 2
    assert "LoanSaga.approve is no Approval" in result.stderr
    assert shop.sagas.store.inbox(saga_id) == []


def test_the_command_as_it_is_shown_is_refused_with_a_word(shop, waits):
    result = shop("send", waits(), "approve", "--event", "")
    assert result.exit_code == 2
    assert "it is no JSON" in result.stderr


@pytest.mark.parametrize(
    ("wait", "says"), [("aprove", "did you mean 'approve'?"), ("pay", "no wait named 'pay'"), ("zzz", "approve, wish")]
)
def test_a_wait_that_is_none_is_named(shop, waits, wait, says):
    saga_id = waits()
    result = shop("send", saga_id, wait, "--event", "1")
    assert result.exit_code == 2
    assert says in result.stderr
    registry._sagas.clear()  # where the class is not known the stored plan tells the same
    result = shop("send", saga_id, wait, "--event", "1")
    assert result.exit_code == 2
    assert says in result.stderr


def test_the_same_twice_is_one_event_and_another_under_its_id_is_refused(shop, waits):
    saga_id = waits()
    for _ in range(2):
        assert approved(shop, saga_id, "--event-id", "m1").exit_code == 0
    result = shop("send", saga_id, "approve", "--event", '{"ok": false, "by": "ann"}', "--event-id", "m1")
    assert result.exit_code == 1
    assert "under the id 'm1' before" in result.stderr
    assert len(shop.sagas.store.inbox(saga_id)) == 1


def test_an_ended_saga_and_an_unknown_one_are_told_apart(shop, waits):
    saga_id = waits()
    shop("cancel", saga_id, "--reason", "changed their mind")
    ended = approved(shop, saga_id)
    assert ended.exit_code == 1
    assert "is COMPENSATED already" in ended.stderr
    assert approved(shop, "nobody").exit_code == 3


def test_where_the_class_is_not_known_the_event_is_sent_as_it_is_with_a_warning(shop, waits):
    saga_id = waits()
    registry._sagas.clear()
    result = approved(shop, saga_id)
    assert result.exit_code == 0
    assert "no class of bank.loan: the event is not checked against the type of approve" in result.stderr
    assert shop.sagas.store.inbox(saga_id)[0].news.payload == {"ok": True, "by": "ann"}


# ── show ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_wait_says_for_what_until_when_and_how_it_is_answered(shop, waits):
    saga_id = waits()
    shop.clock.turn(3600)
    lines = shown(shop, saga_id)
    line = next(line for line in lines if line.startswith("approve"))
    assert "waits for Approval, until 2030-01-03T12:00:00.000Z (in 1 d 23 h)" in line
    assert "1 h so far" in line
    assert lines[-2:] == [
        "  approve waits for Approval, until 2030-01-03T12:00:00.000Z (in 1 d 23 h)",
        f"  run: saga send {saga_id} approve --event ''",
    ]


def test_a_wait_whose_class_is_not_known_waits_for_an_event(shop, waits):
    saga_id = waits()
    registry._sagas.clear()
    assert any("waits for an event, until 2030-01-03" in line for line in shown(shop, saga_id))


def test_a_wait_that_may_be_skipped_says_what_happens_without_an_answer(shop, waits):
    saga_id = waits()
    approved(shop, saga_id)
    moved(shop, saga_id)
    assert "(in 2 d); then the saga goes on without" in shown(shop, saga_id)[-2]


def test_a_sleep_says_until_when(shop, waits):
    saga_id = waits()
    approved(shop, saga_id)
    shop("send", saga_id, "wish", "--event", '"red"')
    moved(shop, saga_id)
    lines = shown(shop, saga_id)
    assert "sleeps until 2030-01-01T14:00:00.000Z (in 2 h)" in next(
        line for line in lines if line.startswith("cool_off")
    )
    assert lines[-1] == "  cool_off sleeps until 2030-01-01T14:00:00.000Z (in 2 h)"


def test_news_that_nobody_took_yet_are_shown(shop, waits):
    saga_id = waits()
    approved(shop, saga_id, "--event-id", "m1")
    assert "  news came, id m1: a coordinator takes them up; asked again in 10 s" in shown(shop, saga_id)
    [found] = shop.json("show", saga_id)
    [nudge] = [each for each in found["awaited"] if each["awaited"] == "nudge"]
    assert (nudge["step"], nudge["item"], nudge["news"]) == (None, 0, "m1")


def test_as_json_a_step_says_what_it_waits_for(shop, waits):
    saga_id = waits()
    [found] = shop.json("show", saga_id)
    [step] = found["steps"]
    assert (step["step"], step["status"]) == ("approve", "awaiting")
    assert step["waits_for"] == {
        "what": "event",
        "event": "Approval",
        "until": "2030-01-03T12:00:00.000Z",
        "skippable": False,
    }
    [done] = shop.json("show", shop.completed())
    assert {step["waits_for"] for step in done["steps"]} == {None}


def test_a_long_wait_is_not_stuck(shop, waits):
    saga_id = waits()
    shop.clock.turn(86_400)
    assert shop.json("list", "--stuck") == []
    shop.clock.turn(86_400 + 61)  # its time is over, and no sweeper ran
    assert [each["id"] for each in shop.json("list", "--stuck")] == [saga_id]
    assert "should have moved 1 min 1 s ago" in shown(shop, saga_id)[-1]


def test_a_wait_whose_time_runs_out_while_its_saga_is_suspended_ends_when_that_is_resumed(shop, waits):
    saga_id = waits()
    assert shop("suspend", saga_id, "--reason", "the board is on holiday").exit_code == 0
    assert "(in 2 d)" in shown(shop, saga_id)[-2]
    shop.clock.turn(2 * 86_400 + 1)
    shop.sagas.sweeper().tick()
    assert "  approve waits for Approval, until it is resumed, as its time is over" in shown(shop, saga_id)
    [found] = shop.json("show", saga_id)
    assert found["steps"][0]["waits_for"]["until"] is None
    assert shop("resume", saga_id, "--reason", "they are back").exit_code == 0
    shop.sagas.sweeper().tick()
    assert shop.sagas.store.load(saga_id).status is SagaStatus.COMPENSATED


def test_a_wait_that_ran_out_behind_the_pivot_can_still_be_answered(shop, waits):
    saga_id = waits()
    approved(shop, saga_id)
    shop("send", saga_id, "wish", "--event", '"red"')
    moved(shop, saga_id)
    shop.news(saga_id, e.RestOver(slot=Slot("cool_off")))
    shop.succeed(saga_id, "pay", "paid")
    state = shop.news(saga_id, e.RestOver(slot=Slot("receipt")))
    assert state.status is SagaStatus.FAILED
    lines = shown(shop, saga_id)
    assert f"  run: saga send {saga_id} receipt --event ''" in lines
    assert f"   or: saga retry {saga_id} --step receipt --reason '…'" in lines
    assert shop("send", saga_id, "receipt", "--event", '"r-1"').exit_code == 0
    assert shop.news(saga_id, e.Nudged()).status is SagaStatus.COMPLETED
