"""Kinds of workers: pools, without a database, without saga code, and their ends."""

import json
import signal
from dataclasses import replace

import pytest

from saga_celery.core.events import AttemptSucceeded
from saga_celery.core.states import Slot
from saga_celery.transport.publisher import CeleryTransport
from tests.transport.lab import PATIENCE, outgoing

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_other_pools(lab, pool):
    worker = lab.start("some_app", "-P", pool, "-c", "2", "-Q", "steps", SAGA_TEST_DATABASE="fake")
    sent = outgoing("ok", 1, claim=True)
    lab.send(sent)
    claimed = lab.news(sent.saga_id)
    assert claimed["worker"].endswith(f":{worker.pid}")
    assert lab.news(sent.saga_id)["result"] == {"value": 1}
    assert lab.run("boom")["failure"]["type"] == "ArithmeticError"
    assert lab.run("replaced")["took_effect"]
    lab.transport.nudge(["saga-1"])
    assert lab.news("saga-1")["kind"] == "Nudged"


def test_a_claim_names_the_main_process_and_the_end_is_announced_after_the_last_task(lab):
    worker = lab.start("some_app", "-c", "1", "-Q", "steps", SAGA_TEST_DATABASE="fake")
    sent = outgoing("held", "h1", claim=True)
    lab.send(sent)
    claimed = lab.news(sent.saga_id)
    assert claimed["worker"].endswith(f":{worker.pid}")
    assert lab.notes.blpop("runs:h1", timeout=PATIENCE)
    worker.send_signal(signal.SIGTERM)
    lab.notes.delete("beats")
    for _ in range(3):  # still beating while the pool finishes
        assert lab.notes.blpop("beats", timeout=PATIENCE)
    assert not lab.notes.llen("farewells")
    lab.notes.rpush("release:h1", 1)
    assert lab.news(sent.saga_id)["result"] == "released"
    assert lab.notes.blpop("farewells", timeout=PATIENCE)[1].decode() == claimed["worker"]
    assert worker.wait(PATIENCE) == 0


def test_tables_of_another_release_end_the_worker(lab):
    worker = lab.start("some_app", "-c", "1", wait=False, SAGA_TEST_DATABASE="old")
    assert worker.wait(PATIENCE) == 78
    assert "this worker does not start: run `celery -A some_app saga migrate`" in lab.log.read_text()


def test_settings_that_can_not_be_end_the_worker_before_it_takes_a_message(lab):
    worker = lab.start("some_app", "-c", "1", wait=False, SAGA_TEST_FERNET="abc")
    assert worker.wait(PATIENCE) == 78
    log = lab.log.read_text()
    assert "this worker does not start: saga_fernet_keys: one of them is no Fernet key" in log
    assert "Traceback" not in log


@pytest.fixture(scope="module")
def pair(module_lab):
    """A coordinator with the database, a worker without it, and one of another codebase."""
    module_lab.celery.conf.task_default_queue = "remote"
    module_lab.start(
        "some_app",
        "-P",
        "threads",
        "-c",
        "4",
        "-Q",
        "unused",
        SAGA_TEST_DATABASE="fake",
        SAGA_TEST_HMAC="1",
        wait=False,
    )
    module_lab.start("some_app", "-P", "prefork", "-c", "1", "-Q", "remote", SAGA_TEST_HMAC="1", wait=False)
    module_lab.start("foreign_app", "-P", "solo", "-Q", "foreign", wait=False)
    for _ in range(3):
        assert module_lab.notes.blpop("ready", timeout=PATIENCE)
    return module_lab


def remote(task, *args, **more):
    return outgoing(task, *args, queue="remote", **more)


def test_a_short_task_costs_a_reporting_worker_one_message(pair):
    news = pair.news(pair.send(sent := remote("ok", 7)))
    assert (news["kind"], news["result"], news["parks"]) == ("AttemptSucceeded", {"value": 7}, True)
    pair.barrier("remote")
    assert pair.notes.llen(f"news:{sent.saga_id}") == 0


def test_a_long_one_says_that_it_began(pair):
    sent = remote("held", "r1")
    pair.send(sent)
    assert pair.news(sent.saga_id)["kind"] == "AttemptStarted"
    pair.notes.rpush("release:r1", 1)
    assert pair.news(sent.saga_id)["kind"] == "AttemptSucceeded"


def test_a_claim_is_said_at_once(pair):
    sent = remote("ok", 1, claim=True)
    pair.send(sent)
    assert {pair.news(sent.saga_id)["kind"] for _ in range(2)} == {"AttemptStarted", "AttemptSucceeded"}


@pytest.mark.parametrize(("task", "args", "name"), [
    ("boom", (), "ArithmeticError"),
    ("ok", (1, 2), "TypeError"),
    ("strange", (), "saga_celery.ResultNotSerializable"),
    ("big", (), "saga_celery.ResultTooLarge"),
    ("replaced", (), "saga_celery.TaskReplaced"),
    ("nobody.knows.this", (), "saga_celery.UnregisteredTask"),
])  # fmt: skip
def test_failures_are_reported(pair, task, args, name):
    news = pair.news(pair.send(remote(task, *args)))
    assert (news["kind"], news["failure"]["type"]) == ("AttemptFailed", name)


def test_its_own_retry_is_reported(pair):
    sent = remote("again")
    pair.send(sent)
    first, second = (pair.news(sent.saga_id) for _ in range(2))
    assert {first["kind"], second["kind"]} == {"await_again", "AttemptSucceeded"}


def test_a_killed_child_is_reported_by_its_parent(pair):
    """On a worker of its own: how a pool recovers is Celery's business, and the other tests need theirs."""
    pair.start("some_app", "-P", "prefork", "-c", "1", "-Q", "doomed", SAGA_TEST_HMAC="1")
    assert pair.news(pair.send(outgoing("killed", queue="doomed")))["kind"] == "AttemptLost"


def test_a_report_waits_for_the_coordinators_database(pair):
    sent = remote("ok", 1)
    pair.notes.set(f"down:{sent.saga_id}", 3)
    assert pair.news(pair.send(sent))["kind"] == "AttemptSucceeded"


def test_an_unsigned_report_is_dropped(pair):
    forged = AttemptSucceeded(slot=Slot("charge"), attempt=1, result="forged")
    pair.transport.report("saga", "saga-7", forged)
    pair.transport.nudge(["saga-7"])
    assert pair.news("saga-7")["kind"] == "Nudged"
    pair.await_log("not signed with a key")  # by another thread of the coordinator, hence perhaps after the nudge
    assert pair.notes.llen("news:saga-7") == 0


def test_a_foreign_worker_answers_by_links(pair):
    signing = CeleryTransport(pair.celery, replace(pair.settings, hmac_keys={"k1": "secret"}))
    well, ill = outgoing("foreign.ok", 7, queue="foreign"), outgoing("foreign.boom", queue="foreign")
    signing.send([well, ill])
    news = pair.news(well.saga_id)
    assert (news["kind"], news["result"]) == ("AttemptSucceeded", {"foreign": 7})
    news = pair.news(ill.saga_id)
    assert (news["kind"], news["reason"]) == ("AttemptLost", "the task on a foreign queue ended, outcome unknown")


def test_a_worker_without_the_database_has_no_heartbeat(pair):
    beats = [json.loads(pair.notes.blpop("beats", timeout=PATIENCE)[1])["worker"] for _ in range(3)]
    assert len(set(beats)) == 1
