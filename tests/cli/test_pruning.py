"""`saga prune`, `saga archive`, what sweepers clear away by themselves, and what is left of a saga then."""

import logging
from datetime import timedelta

import pytest
from celery.canvas import Signature

from saga_celery import Refused, Saga, SagaNotFound, SagaUnfinished, saga_chain, step
from saga_celery.app.retention import as_configured, carry_out
from saga_celery.core import events as e
from saga_celery.core.states import Slot
from saga_celery.definition import registry, undo_windows
from saga_celery.engine.payloads import Payloads
from saga_celery.engine.ports import Delivery
from saga_celery.engine.seals import Seals
from saga_celery.store.deliveries import insert_deliveries
from tests.cli.conftest import Order

DAY = 86_400.0


@pytest.fixture
def sweep(shop, monkeypatch):
    """Let a sweeper of this process tick until its janitor has gone round once."""

    def until_round_is_over():
        rounds = shop.sagas._janitor
        rounds._rests_until = None
        for _ in range(100):
            shop.sagas.sweeper().tick()
            if rounds._rests_until is not None:
                return
        pytest.fail("a round without end")

    return until_round_is_over


def stands(shop, *saga_ids):
    """Which of them are there, and which are archived."""
    found = {}
    for saga_id in saga_ids:
        try:
            found[saga_id] = shop.sagas.store.queries.row(saga_id).archived
        except SagaNotFound:
            found[saga_id] = None
    return [found[saga_id] for saga_id in saga_ids]


def define_gift(**attributes):
    class GiftSaga(Saga[Order, str]):
        name = "shop.gift"
        undo_window = attributes.get("undo_window")
        retention = attributes.get("retention")

        @step()
        def wrap(self, order: Order) -> Signature[str]:
            return self.task("gift.wrap", order.sku, key=self.key())

        @wrap.compensate
        def unwrap(self, order: Order, wrap: str) -> Signature[None]:
            return self.task("gift.unwrap", wrap, key=self.key())

        def result(self, order: Order, wrap: str) -> str:
            return wrap


def gift(shop):
    saga_id = shop.start("shop.gift")
    shop.news(saga_id, e.Nudged())
    shop.succeed(saga_id, "wrap", "w-1")
    return saga_id


class TestPrune:
    def test_what_is_old_is_deleted_and_all_else_stays(self, shop):
        done, undone, parked, under_way = shop.completed(), shop.compensated(), shop.exhausted(), shop.start()
        shop.clock.turn(90 * DAY)
        young = shop.completed()
        assert shop.json("prune", "--older-than", "89d", "--dry-run") == [
            {"name": "shop.order", "verb": "delete", "sagas": 2, "kept": 0, "dry_run": True}
        ]
        assert shop("prune", "--older-than", "89d", "--state", "compensated").stdout == "shop.order: 1 saga deleted\n"
        assert stands(shop, done, undone) == [False, None]
        assert shop("prune", "--older-than", "89d").stdout == "shop.order: 1 saga deleted\n"
        assert stands(shop, done, undone, parked, under_way, young) == [None, None, False, False, False]
        again = shop("prune", "--older-than", "89d")
        assert (again.exit_code, again.stdout, again.stderr) == (0, "", "no saga is that old\n")

    def test_a_limit_and_batches(self, shop):
        sagas = [shop.completed() for _ in range(5)]
        shop.clock.turn(DAY)
        assert shop("prune", "--older-than", "1h", "--limit", "3", "--batch", "2").stdout.startswith("shop.order: 3 ")
        assert stands(shop, *sorted(sagas)).count(None) == 3

    def test_what_a_person_has_to_settle_is_kept_and_counted(self, shop):
        saga_id = shop.completed()
        hook = Delivery(id="d1", saga_id=saga_id, event="saga_completed", task="ops.tell", payload={})
        with shop.sagas.store.connections.transaction() as connection:
            insert_deliveries(connection, [hook], shop.clock)
        shop.clock.turn(DAY)
        told = "shop.order: 0 sagas deleted; 1 kept, as somebody may still need them\n"
        assert shop("prune", "--older-than", "1h").stdout == told
        assert shop("hooks", "--drop", "d1").exit_code == 0
        assert shop("prune", "--older-than", "1h").stdout == "shop.order: 1 saga deleted\n"
        assert stands(shop, saga_id) == [None]

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (["prune"], "give --older-than 90d, or set saga_retention"),
            (["prune", "--name", "shop.order"], "--older-than"),
            (["prune", "--older-than", "90d", "--state", "FAILED"], "FAILED is not done, and stays"),
            (["prune", "--older-than", "90d", "--state", "COMPLETED,DONE"], "no state is called 'DONE'"),
            (["archive"], "--older-than"),
        ],
    )
    def test_what_can_not_be_meant_is_refused(self, shop, arguments, complaint):
        result = shop(*arguments)
        assert result.exit_code == 2
        assert complaint in result.stderr

    def test_a_name_that_no_saga_has(self, shop):
        result = shop("prune", "--older-than", "1d", "--name", "shop.ordre")
        assert result.exit_code == 3
        assert "did you mean 'shop.order'" in result.stderr

    def test_whoever_holds_a_handle_is_told(self, shop):
        saga_id = shop.completed(key="k")
        handle = registry.find("shop.order").get("k")
        shop.clock.turn(DAY)
        shop("prune", "--older-than", "1h")
        with pytest.raises(SagaUnfinished, match="ended long ago and was deleted"):
            handle.wait(timeout=1)
        with pytest.raises(SagaNotFound):
            handle.cancel(reason="too late")
        assert shop.start(key="k") == saga_id

    def test_late_news_of_a_saga_that_is_gone_do_no_harm(self, shop):
        saga_id = shop.completed()
        shop.clock.turn(DAY)
        shop("prune", "--older-than", "1h")
        late = e.AttemptSucceeded(slot=Slot("charge"), attempt=1, result="late")
        assert shop.sagas.coordinator(parks_render_failures=True).handle(saga_id, late) is None


class TestArchive:
    def test_an_archived_saga_is_shown_by_id_and_by_key(self, shop):
        saga_id = shop.completed(key="order-7", tags={"customer": "7"})
        plain = shop("show", saga_id, "--history").stdout.splitlines()
        record = shop.json("show", saga_id, "--history")[0]
        shop.clock.turn(DAY)
        assert shop.json("archive", "--older-than", "1h", "--dry-run")[0]["dry_run"]
        assert stands(shop, saga_id) == [False]
        assert shop("archive", "--older-than", "1h").stdout == "shop.order: 1 saga archived\n"
        for asked in (saga_id, "order-7"):
            shown = shop("show", asked, "--history").stdout.splitlines()
            assert shown[1] == "state: COMPLETED; archived"
            assert shown[2:4] + shown[5:] == plain[2:4] + plain[5:]  # but for how long ago it was started
            assert shop.json("show", asked, "--history") == [{**record, "archived": True}]
        handle = registry.find("shop.order").get("order-7")
        assert (handle.id, handle.result(timeout=0), handle.snapshot().archived) == (saga_id, "told", True)
        assert len(handle.history()) == len(record["history"])
        assert shop.json("list") == []
        assert shop("prune", "--older-than", "1h").stdout == "shop.order: 1 saga deleted\n"
        assert stands(shop, saga_id) == [None]

    def test_what_is_archived_can_not_be_changed(self, shop):
        define_gift(undo_window=timedelta(days=7))
        saga_id = gift(shop)
        with shop.sagas.store.connections.transaction() as connection:
            connection.exec_driver_sql("UPDATE saga SET state = 'COMPENSATED'")
        shop.clock.turn(DAY)
        assert shop("archive", "--older-than", "1h").stdout == "shop.gift: 1 saga archived\n"
        for verb in ("cancel", "compensate", "resume"):
            result = shop(verb, saga_id, "--reason", "why not")
            assert (result.exit_code, "in the archive, where it stays" in result.stderr) == (1, True)
        with pytest.raises(Refused, match="in the archive"):
            registry.find("shop.gift").get(saga_id).rerun("wrap", reason="once more")


class TestBySweepers:
    def test_nothing_leaves_unless_it_is_said(self, shop, sweep):
        shop.completed()
        shop.clock.turn(9999 * DAY)
        assert shop.sagas.sweeper()._janitor is None

    def test_what_settings_and_classes_say(self, shop, sweep):
        shop.app.conf.update(saga_retention=timedelta(days=30), saga_archive_after=DAY)
        shop.sagas._settings = None
        define_gift(retention=timedelta.max)
        order, present = shop.completed(), gift(shop)
        shop.clock.turn(DAY)
        assert (sweep(), stands(shop, order, present)) == (None, [False, False])
        shop.clock.turn(1)
        assert (sweep(), stands(shop, order, present)) == (None, [True, True])
        shop.clock.turn(30 * DAY)
        at_once = shop.completed()
        shop.clock.turn(DAY)
        assert shop.json("prune", "--dry-run") == [
            {"name": "shop.order", "verb": "delete", "sagas": 1, "kept": 0, "dry_run": True}
        ]
        assert (sweep(), stands(shop, order, present, at_once)) == (None, [None, True, False])
        shop.clock.turn(1)
        assert shop("prune").stdout == "shop.order: 1 saga archived\n"

    def test_a_class_alone_may_say_it(self, shop, sweep):
        define_gift(retention=timedelta(days=1))
        order, present = shop.completed(), gift(shop)
        shop.clock.turn(2 * DAY)
        assert (sweep(), stands(shop, order, present)) == (None, [False, None])

    def test_an_undo_window_is_waited_for(self, shop, sweep):
        shop.app.conf.saga_retention = DAY
        shop.sagas._settings = None
        define_gift(undo_window=timedelta(days=7))
        present = gift(shop)
        shop.clock.turn(6 * DAY)
        assert (sweep(), stands(shop, present)) == (None, [False])
        assert shop("prune", "--older-than", "1d").stderr == "no saga is that old\n"
        shop.clock.turn(2 * DAY)
        assert (sweep(), stands(shop, present)) == (None, [None])

    def test_sagas_of_classes_that_live_elsewhere_are_left_to_them_and_chains_are_not(self, shop, sweep, monkeypatch):
        monkeypatch.setattr(undo_windows, "_of_chains", {})
        shop.app.conf.saga_archive_after = DAY
        shop.sagas._settings = None
        define_gift(retention=timedelta(days=3650))
        present = gift(shop)
        chain = saga_chain("shop.chain", shop.app.signature("stock.reserve", immutable=True)).start()
        shop.news(chain.id, e.Nudged())
        assert shop.succeed(chain.id, "reserve", 1).status == "COMPLETED"
        monkeypatch.delitem(registry._sagas, "shop.gift")
        shop.clock.turn(2 * DAY)
        assert (sweep(), stands(shop, present, chain.id)) == (None, [False, True])
        shop.app.conf.saga_retention = DAY
        shop.sagas._settings = None
        assert (sweep(), stands(shop, present, chain.id)) == (None, [False, None])

    def test_a_tick_takes_no_more_than_a_batch(self, shop):
        shop.sagas._janitor._begin = lambda: carry_out(shop.sagas, as_configured(shop.sagas), batch=1)
        shop.app.conf.saga_retention = DAY
        sagas = [shop.completed() for _ in range(3)]
        shop.clock.turn(2 * DAY)
        for left in (2, 1, 0):
            shop.sagas.sweeper().tick()
            assert stands(shop, *sagas).count(False) == left


class TestPayloads:
    """Those in a store outside the database go after their sagas."""

    class Bucket:
        def __init__(self):
            self.deleted, self.broken = [], False

        def delete(self, saga_id):
            if self.broken:
                raise OSError("the bucket is gone")
            self.deleted.append(saga_id)

    @pytest.fixture
    def bucket(self, shop):
        bucket = self.Bucket()
        shop.sagas._payloads = Payloads(
            store=lambda: bucket, seals=Seals([]), inline=1000, limit=1000, with_transition=False
        )
        return bucket

    def test_an_archived_saga_keeps_them(self, shop, bucket):
        saga_id = shop.completed()
        shop.clock.turn(DAY)
        shop("prune", "--older-than", "1h", "--dry-run")
        shop("archive", "--older-than", "1h")
        assert bucket.deleted == []
        shop("prune", "--older-than", "1h")
        assert bucket.deleted == [saga_id]

    def test_a_store_that_fails_is_told_of(self, shop, bucket, caplog):
        saga_id = shop.completed()
        shop.clock.turn(DAY)
        bucket.broken = True
        assert shop("prune", "--older-than", "1h").exit_code == 0
        (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
        assert (record.saga_id, "left in saga_payload_store" in record.message) == (saga_id, True)
