"""`saga suspend`, `resume`, `compensate`, `rerun`, `retry --args`, and what all verbs know of versions and of many."""

from datetime import timedelta

import pytest

from saga_celery import (
    DefinitionError,
    InputRejected,
    Refused,
    Saga,
    StaleVersion,
    saga_chain,
    step,
)
from saga_celery.core import events as e
from saga_celery.core.states import Direction, Slot
from saga_celery.definition import registry
from tests.cli.conftest import Order, Signature
from tests.cli.test_operating import acted


@pytest.fixture(autouse=True)
def gift_saga(shop):
    """A saga whose author lets people change their minds for a week."""

    class GiftSaga(Saga[Order, str]):
        name = "shop.gift"
        undo_window = timedelta(days=7)

        @step()
        def wrap(self, order: Order) -> Signature[str]:
            return self.task("gift.wrap", order.sku, key=self.key())

        @wrap.compensate
        def unwrap(self, order: Order, wrap: str) -> Signature[None]:
            return self.task("gift.unwrap", wrap, key=self.key())

        def result(self, order: Order, wrap: str) -> str:
            return wrap


def gift(shop, **options):
    saga_id = shop.start("shop.gift", **options)
    shop.news(saga_id, e.Nudged())
    shop.succeed(saga_id, "wrap", "w-1")
    return saga_id


def undone_gift(shop, **options):
    saga_id = gift(shop, **options)
    assert shop("compensate", saga_id, "--reason", "unwanted").exit_code == 0
    shop.news(saga_id, e.AttemptSucceeded(slot=Slot("wrap", 0, Direction.COMPENSATION), attempt=1))
    return saga_id


class TestSuspend:
    def test_it_is_shown_with_who_and_why_until_it_ends(self, shop):
        saga_id = shop.start(key="k")
        result = shop("suspend", "k", "--reason", "the till is\npainted", "--actor", "ann")
        assert (result.exit_code, result.stdout) == (0, "suspend: shop.order k is PENDING, suspended\n")
        page = shop("show", "k").stdout
        assert "state: PENDING; suspended by ann: the till is painted" in page
        assert f"run: saga resume {saga_id} --reason '…'" in page
        assert "suspended by ann" in shop("list", "--suspended").stdout
        (row,) = shop.json("list", "--suspended")
        assert (row["id"], row["version"], row["suspended"]) == (saga_id, 1, True)
        assert row["suspension"] == {
            "since": "2030-01-01T12:00:00.000Z",
            "actor": "ann",
            "reason": "the till is\npainted",
        }
        assert shop("resume", "k", "--reason", "dry").stdout == "resume: shop.order k is RUNNING\n"
        assert shop.json("list", "--suspended") == []
        assert "suspended by" not in shop("show", "k").stdout.partition("Next")[0]

    def test_the_latest_suspension_is_the_one_that_counts(self, shop):
        saga_id = shop.start(key="k")
        for verb, actor in (("suspend", "ann"), ("resume", "ann"), ("suspend", "bob")):
            shop(verb, "k", "--reason", actor, "--actor", actor)
        assert shop.json("show", "k")[0]["suspension"]["actor"] == "bob"
        shop("cancel", "k", "--reason", "r", "--actor", "eve")
        assert shop.json("show", saga_id)[0]["suspension"]["actor"] == "bob"

    def test_what_it_waits_for_comes_once_it_is_resumed(self, shop):
        saga_id = shop.start()
        shop.news(saga_id, e.Nudged())
        shop("suspend", saga_id, "--reason", "r")
        assert "charge: attempt 1 of 5 sent 0.0 s ago; again once it is resumed" in shop("show", saga_id).stdout

    def test_many_are_found_counted_and_confirmed(self, shop):
        ids = {shop.start(key=f"k{number}") for number in range(3)}
        ended, other = shop.completed(), shop.start("shop.parcel")
        refused = shop("suspend", "--name", "shop.order", "--reason", "r")
        assert refused.exit_code == 2
        assert "3 sagas would be touched (3 shop.order PENDING); add --yes" in refused.stderr
        result = shop("suspend", "--name", "shop.order", "--since", "1d", "--reason", "r", "--yes")
        assert (result.exit_code, result.stdout) == (0, "suspend: 3 of 3 sagas\n")
        assert {row["id"] for row in shop.json("list", "--suspended")} == ids
        assert shop.sagas.sagas.where(suspended=True).count() == 3
        assert shop("resume", "--suspended", "--reason", "r", "--yes").stdout == "resume: 3 of 3 sagas\n"
        assert shop.sagas.sagas.where(suspended=True).count() == 0
        assert acted(shop, ended) == acted(shop, other) == []

    def test_old_verbs_need_more_than_a_name(self, shop):
        result = shop("cancel", "--name", "shop.order", "--reason", "r")
        assert result.exit_code == 2
        assert "--stuck, or --state FAILED" in result.stderr

    def test_no_filter_means_no_sagas(self, shop):
        result = shop("suspend", "--reason", "r")
        assert result.exit_code == 2
        assert "which sagas? give an ID or KEY; or all that fit: --name, --tag, --since" in result.stderr

    def test_the_suspended_may_be_cancelled(self, shop):
        saga_id = shop.start()
        shop("suspend", saga_id, "--reason", "r")
        assert shop("cancel", "--suspended", "--reason", "r", "--yes").stdout == "cancel: 1 of 1 saga\n"
        assert shop("resume", saga_id, "--reason", "r").stdout.endswith("is COMPENSATED\n")


class TestVersion:
    @pytest.mark.parametrize("verb", ["retry", "skip", "resolve", "cancel", "suspend", "resume", "compensate"])
    def test_a_saga_that_has_moved_is_left_alone(self, shop, verb):
        saga_id = shop.start()
        result = shop(verb, saga_id, "--reason", "r", "--expect-version", "7")
        assert result.exit_code == 1
        assert result.stderr == (
            f"Error: {verb} saga {saga_id}: it was asked of version 7, but the saga has moved on to version 0 and is "
            "PENDING; look at it again\n"
        )
        assert acted(shop, saga_id) == []

    def test_the_version_is_the_one_that_show_tells(self, shop):
        saga_id = shop.exhausted()
        version = str(shop.json("show", saga_id)[0]["version"])
        assert shop("rerun", saga_id, "--from", "label", "--reason", "r", "--expect-version", version).exit_code == 0
        assert shop("rerun", saga_id, "--from", "label", "--reason", "r", "--expect-version", version).exit_code == 1

    def test_it_is_that_of_one_saga(self, shop):
        shop.start()
        result = shop("suspend", "--name", "shop.order", "--reason", "r", "--expect-version", "1", "--yes")
        assert result.exit_code == 2
        assert "--expect-version is that of one saga" in result.stderr


class TestEditedRetry:
    def test_a_step_runs_with_other_arguments(self, shop):
        saga_id = shop.exhausted()
        result = shop(
            "retry", saga_id, "--step", "label", "--args", '["coffee"]', "--kwargs", '{"n": 2}', "--reason", "typo"
        )
        assert (result.exit_code, result.stderr) == (0, "")
        message = shop.sagas.store.load(saga_id).step("label").action.message
        assert (message.args, message.kwargs) == (("coffee",), {"n": 2})
        history = shop("show", saga_id, "--history").stdout
        assert "label: to be run as generation 2 with another list of arguments, n" in history
        assert "coffee" not in history.partition("History")[2]

    def test_the_key_is_that_of_the_new_generation(self, shop):
        saga_id = shop.start()
        shop.news(saga_id, e.Nudged())
        shop.fail(saga_id, Slot("charge"))
        assert shop("retry", saga_id, "--step", "charge", "--args", "[6]", "--reason", "r").exit_code == 0
        message = shop.sagas.store.load(saga_id).step("charge").action.message
        assert (message.args, message.kwargs) == ((6,), {"key": f"{saga_id}:charge:0:2:action"})

    @pytest.mark.parametrize(
        "wrong",
        [
            ("--args", "[1]"),
            ("--step", "label", "--args", "5"),
            ("--step", "label", "--kwargs", "[1]"),
            ("--step", "label", "--kwargs", "{"),
        ],
    )
    def test_what_can_not_be_understood(self, shop, wrong):
        assert shop("retry", shop.exhausted(), *wrong, "--reason", "r").exit_code == 2

    def test_in_doubt_names_what_comes_first(self, shop):
        result = shop("retry", shop.in_doubt(), "--step", "tell", "--args", "[]", "--reason", "r")
        assert result.exit_code == 1
        assert "`resolve` it first" in result.stderr


class TestCompensate:
    def test_a_completed_saga_is_undone(self, shop):
        saga_id = gift(shop, key="k")
        assert shop("compensate", "k", "--reason", "unwanted").stdout == "compensate: shop.gift k is COMPENSATING\n"
        assert "cause: undone on request: unwanted" in shop("show", "k").stdout
        shop.news(saga_id, e.AttemptSucceeded(slot=Slot("wrap", 0, Direction.COMPENSATION), attempt=1))
        assert shop.json("show", "k")[0]["state"] == "COMPENSATED"

    def test_within_its_window(self, shop):
        saga_id = gift(shop)
        shop.clock.turn(8 * 86400)
        result = shop("compensate", saga_id, "--reason", "r")
        assert result.exit_code == 1
        assert "it ended 8 days ago, and shop.gift may be undone for 7 days" in result.stderr

    def test_without_a_window_the_fix_is_named(self, shop):
        result = shop("compensate", shop.completed(), "--reason", "r")
        assert result.exit_code == 1
        assert "write for example `undo_window = timedelta(days=7)` in its class" in result.stderr

    def test_where_nobody_knows_the_class(self, shop, monkeypatch):
        saga_id = gift(shop)
        monkeypatch.delitem(registry._sagas, "shop.gift")
        result = shop("compensate", saga_id, "--reason", "r")
        assert result.exit_code == 1
        assert "nobody here knows for how long it may be undone: no saga named 'shop.gift'" in result.stderr

    def test_many(self, shop):
        gift(shop), gift(shop), shop.start("shop.gift")
        result = shop("compensate", "--name", "shop.gift", "--reason", "recall", "--yes")
        assert result.stdout == "compensate: 2 of 2 sagas\n"


class TestRerun:
    def test_an_undone_saga_runs_again(self, shop):
        saga_id = undone_gift(shop, key="k")
        shop.clock.turn(3600)
        assert shop("rerun", "k", "--from", "wrap", "--reason", "wanted").stdout == "rerun: shop.gift k is RUNNING\n"
        shop.news(saga_id, e.Nudged())
        message = shop.sagas.store.load(saga_id).step("wrap").action.message
        assert message.kwargs == {"key": f"{saga_id}:wrap:0:2:action"}
        assert shop.json("show", "k")[0]["steps"][0]["began_at"] == "2030-01-01T13:00:00.000Z"
        shop.news(saga_id, e.AttemptSucceeded(slot=Slot("wrap", generation=2), attempt=1, result="w-2"))
        shown = shop("show", "k", "--history").stdout
        assert "state: COMPLETED" in shown
        assert "saga runs again from wrap on; wrap to be run again, as generation 2" in shown

    def test_what_can_not_be_is_refused_with_what_can(self, shop):
        result = shop("rerun", undone_gift(shop), "--from", "warp", "--reason", "r")
        assert result.exit_code == 1
        assert "the saga has no step 'warp', only wrap" in result.stderr
        assert shop("rerun", gift(shop), "--reason", "r").exit_code == 2

    def test_many(self, shop):
        undone_gift(shop), gift(shop)
        result = shop("rerun", "--name", "shop.gift", "--from", "wrap", "--reason", "r", "--yes")
        assert result.stdout == "rerun: 1 of 1 saga\n"


def test_a_selection_knows_the_same_verbs(shop):
    gifts = shop.sagas.sagas.where(name="shop.gift")
    undone_gift(shop)
    assert [each.state for each in gifts.rerun("wrap", reason="r")] == ["RUNNING"]
    assert [each.done for each in gifts.suspend(reason="r")] == [True]
    assert [each.done for each in gifts.resume(reason="r")] == [True]
    (refused,) = gifts.compensate(reason="r")
    assert "the saga is RUNNING" in str(refused.error)
    (refused,) = gifts.retry("wrap", reason="r", args=["x"], kwargs={"n": 1})
    assert "neither parked nor resting" in str(refused.error)


class TestArgumentsThatCanNotBeSent:
    """What the desk refuses whoever asks."""

    @pytest.mark.parametrize(
        "wrong",
        [{"args": [float("nan")]}, {"kwargs": {"x": object()}}, {"kwargs": [1]}, {"args": ["x" * 2_000_000]}],
        ids=["not finite", "no JSON", "no names", "too large"],
    )
    def test_they_are_rejected_before_anything_happens(self, shop, wrong):
        saga_id = shop.exhausted()
        parcel = registry.find("shop.parcel").get(saga_id)
        with pytest.raises(InputRejected):
            parcel.retry("label", reason="r", **wrong)
        assert acted(shop, saga_id) == []

    def test_models_and_dates_become_json(self, shop):
        saga_id = shop.exhausted()
        registry.find("shop.parcel").get(saga_id).retry("label", reason="r", args=[Order(sku="tea", cents=5)])
        assert shop.sagas.store.load(saga_id).step("label").action.message.args == ({"sku": "tea", "cents": 5},)


def test_a_handle_that_looked_too_early_is_told(shop):
    saga_id = shop.exhausted()
    parcel = registry.find("shop.parcel").get(saga_id)
    seen = parcel.snapshot().version
    parcel.suspend(reason="r", version=seen)
    with pytest.raises(
        StaleVersion, match=rf"asked of version {seen}, but the saga has moved on to version {seen + 1}"
    ):
        parcel.retry(reason="r", version=seen)
    assert issubclass(StaleVersion, Refused)


def test_a_chain_may_be_undone_within_its_window_too(shop):
    chain = saga_chain("shop.chain", (Signature("gift.wrap"), Signature("gift.unwrap")), undo_window=timedelta(days=1))
    saga_id = chain.start().id
    shop.news(saga_id, e.Nudged())
    (name,) = shop.sagas.store.load(saga_id).steps
    shop.succeed(saga_id, name[0], "w-1")
    assert shop("compensate", saga_id, "--reason", "r").stdout.endswith("is COMPENSATING\n")


def test_of_a_chain_the_window_is_a_time_span():
    with pytest.raises(DefinitionError, match=r"undo_window=7 is no time span; write for example timedelta"):
        saga_chain("shop.chain", Signature("gift.wrap"), undo_window=7)
