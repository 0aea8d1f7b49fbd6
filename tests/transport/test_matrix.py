"""How each end of a step's task reaches the saga: in-place prefork worker, real Redis."""

import json

import pytest

from saga_celery.core.states import Direction
from tests.transport.lab import PATIENCE, id_of, outgoing

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def worker(module_lab):
    """One seat, so that the order of events is the order of messages."""
    module_lab.start("some_app", "-P", "prefork", "-c", "1", "-Q", "steps", SAGA_TEST_DATABASE="fake")
    return module_lab


@pytest.fixture(scope="module")
def doomed(worker):
    """Another one whose children die: how a pool recovers is Celery's business, and the other tests need theirs."""
    options = ("-P", "prefork", "-c", "1", "-Q", "doomed", "-X", "saga")
    worker.start("some_app", *options, SAGA_TEST_DATABASE="fake")
    return worker


def test_a_success_is_committed_once_and_unclaimed(worker):
    sent = outgoing("ok", 7)
    news = worker.news(worker.send(sent))
    assert (news["kind"], news["attempt"], news["result"]) == ("AttemptSucceeded", 1, {"value": 7})
    assert news["slot"] == ["charge", 0, "action", 1]
    assert not news["parks"]
    assert worker.nothing_more(sent.saga_id)


def test_a_claim_comes_before_the_body(worker):
    sent = outgoing("ok", 7, claim=True)
    worker.send(sent)
    assert worker.news(sent.saga_id)["kind"] == "AttemptStarted"
    assert worker.news(sent.saga_id)["kind"] == "AttemptSucceeded"


def test_a_second_copy_of_a_living_workers_attempt_does_not_run(worker):
    sent = outgoing("ok", 7, claim=True)
    worker.notes.sadd("living", "other@host:1")
    worker.notes.hset(f"claim:{sent.saga_id}", mapping={"worker": "other@host:1", "epoch": 1, "attempt": 1})
    worker.send(sent)
    news = worker.news(sent.saga_id)
    assert (news["kind"], news["rival_alive"]) == ("AttemptStarted", True)
    assert worker.nothing_more(sent.saga_id)


@pytest.mark.parametrize("known", [True, False])
def test_only_a_worker_that_once_had_a_heartbeat_is_told_dead(worker, known):
    sent = outgoing("ok", 7, claim=True)
    if known:
        worker.notes.sadd("known", "gone@host:1")
    name = "gone@host:1" if known else "never@host:1"
    worker.notes.hset(f"claim:{sent.saga_id}", mapping={"worker": name, "epoch": 1, "attempt": 1})
    worker.send(sent)
    assert worker.news(sent.saga_id)["rival_alive"] is not known


def test_a_resend_that_knows_of_the_claim_goes_on_with_the_same_attempt(worker):
    sent = outgoing("ok", 7, resends=1, claim=True, epoch=3)
    worker.notes.hset(f"claim:{sent.saga_id}", mapping={"worker": "other@host:1", "epoch": 3, "attempt": 1})
    worker.send(sent)
    news = worker.news(sent.saga_id)
    assert (news["kind"], news["own_retry"]) == ("AttemptStarted", True)
    assert worker.news(sent.saga_id)["kind"] == "AttemptSucceeded"


def test_an_exception(worker):
    failure = worker.run("boom")["failure"]
    assert (failure["type"], failure["message"], failure["step"]) == ("ArithmeticError", "boom", "charge")
    assert failure["types"] == ["ArithmeticError", "Exception"]
    assert "raise ArithmeticError" in failure["traceback"]


def test_an_exception_that_names_its_rest(worker):
    news = worker.run("busy")
    assert (news["retry_after"], news["failure"]["type"]) == (7.0, "tests.transport.some_app.Busy")


@pytest.mark.parametrize("counts", [True, False])
def test_retry_after_says_whether_it_uses_up_an_attempt(worker, counts):
    news = worker.run("overloaded", counts)
    assert (news["kind"], news["retry_after"], news["counts"]) == ("AttemptFailed", 7.0, counts)
    assert (news["failure"]["type"], news["failure"]["message"]) == ("saga_celery.errors.RetryAfter", "come back later")


def test_an_exception_of_ones_own_with_a_rest_counts(worker):
    assert worker.run("busy")["counts"] is True


def test_wrong_arguments_are_an_ordinary_failure(worker):
    news = worker.run("ok", 1, 2, 3)
    assert (news["kind"], news["failure"]["type"], news["took_effect"]) == ("AttemptFailed", "TypeError", False)


@pytest.mark.parametrize(("task", "name", "fix"), [
    ("strange", "ResultNotSerializable", "pydantic model"),
    ("big", "ResultTooLarge", "saga_payload_limit"),
    ("replaced", "TaskReplaced", "start a child saga"),
])  # fmt: skip
def test_an_effect_whose_result_is_out_of_reach(worker, task, name, fix):
    news = worker.run(task)
    assert (news["kind"], news["took_effect"]) == ("AttemptFailed", True)
    assert news["failure"]["type"] == f"saga_celery.{name}"
    assert fix in news["failure"]["message"]


@pytest.mark.parametrize("claim", [False, True])
def test_the_tasks_own_retry_extends_the_lease_and_keeps_the_attempt(worker, claim):
    sent = outgoing("again", claim=claim)
    worker.send(sent)
    kinds = [worker.news(sent.saga_id) for _ in range(4 if claim else 2)]
    if claim:
        assert (kinds[0]["kind"], kinds[0]["own_retry"]) == ("AttemptStarted", False)
        assert (kinds[2]["kind"], kinds[2]["own_retry"]) == ("AttemptStarted", True)
        kinds = [kinds[1], kinds[3]]
    assert kinds[0]["kind"] == "await_again"
    assert 30.0 <= kinds[0]["seconds"] <= 31.0
    assert (kinds[1]["kind"], kinds[1]["attempt"], kinds[1]["result"]) == ("AttemptSucceeded", 1, 1)


def test_autoretry_ends_in_the_failure_itself(worker):
    sent = outgoing("auto")
    worker.send(sent)
    assert worker.news(sent.saga_id)["kind"] == "await_again"
    assert worker.news(sent.saga_id)["failure"]["type"] == "OSError"


def test_a_rejected_message_is_an_unknown_outcome(worker):
    assert worker.run("rejected")["kind"] == "AttemptLost"


def test_a_call_of_the_same_task_from_within_reports_nothing(worker):
    sent = outgoing("inline", 2)
    news = worker.news(worker.send(sent))
    assert news["result"] == [2, [1, {"value": "inner"}]]
    assert worker.nothing_more(sent.saga_id)


def test_a_probe_is_interpreted(worker):
    news = worker.run("ok", 1, direction=Direction.PROBE)
    assert (news["kind"], news["verdict"]) == ("ProbeAnswered", "found")


def test_a_killed_child_is_noticed_though_celery_forgets_the_message(doomed):
    news = doomed.run("killed", queue="doomed")
    assert news["kind"] == "AttemptLost"
    assert "WorkerLostError" in news["reason"]


def test_a_named_participant_comes_back_after_a_kill_and_is_claimed(doomed):
    sent = outgoing("careful.killed_once", "k1", queue="doomed")
    doomed.send(sent)
    assert doomed.news(sent.saga_id)["kind"] == "AttemptStarted"
    news = doomed.news(sent.saga_id)
    assert (news["kind"], news["result"]) == ("AttemptSucceeded", "second")


def test_a_self_killing_participant_does_not_loop(doomed):
    sent = outgoing("careful.killed", "k2", claim=True, queue="doomed")
    doomed.send(sent)
    assert doomed.news(sent.saga_id)["kind"] == "AttemptStarted"
    news = doomed.news(sent.saga_id)
    assert news["kind"] == "AttemptLost"
    assert "lost the process" in news["reason"]
    doomed.barrier("doomed")
    assert doomed.notes.llen("runs:k2") == 1


def test_system_exit_settles_nothing_but_its_loss(doomed):
    assert doomed.run("leaves", queue="doomed")["kind"] == "AttemptLost"


def test_the_hard_time_limit(doomed):
    news = doomed.run("spins", queue="doomed", options={"time_limit": 1})
    assert news["kind"] == "AttemptLost"
    assert "TimeLimitExceeded" in news["reason"]


def test_the_soft_time_limit(worker):
    news = worker.run("spins", options={"soft_time_limit": 1})
    assert news["kind"] == "AttemptLost"
    assert "SoftTimeLimitExceeded" in news["reason"]


def test_an_unregistered_task_took_no_effect(worker):
    news = worker.run("nobody.knows.this")
    assert (news["kind"], news["failure"]["type"]) == ("AttemptFailed", "saga_celery.UnregisteredTask")
    assert worker.run("nobody.knows.this", resends=1)["kind"] == "AttemptLost"


def test_a_revoked_task_took_no_effect(worker):
    sent = outgoing("ok", 1)
    assert worker.celery.control.revoke(id_of(sent), reply=True, timeout=PATIENCE, limit=1)
    news = worker.news(worker.send(sent))
    assert (news["kind"], news["failure"]["type"]) == ("AttemptFailed", "saga_celery.Revoked")


def test_an_undecodable_body_is_left_to_the_lease_and_hurts_nobody(worker):
    sent = outgoing("ok", 1)
    worker.send(sent)
    worker.news(sent.saga_id)
    broken = outgoing("ok", 1)

    def publish(producer):
        headers = {"id": "x", "task": "ok", "lang": "py", "saga_v": 1, "saga_id": broken.saga_id}
        producer.publish(
            "{", content_type="application/json", content_encoding="utf-8", routing_key="steps", headers=headers
        )

    worker.transport._broker.use(publish)
    assert worker.nothing_more(broken.saga_id)


def test_headers_that_are_not_understood_do_not_run(worker):
    sent = outgoing("held", "never", attempt=0)
    worker.send(sent)
    assert worker.nothing_more(sent.saga_id)
    assert worker.notes.llen("runs:never") == 0


def test_an_outcome_is_held_while_the_database_is_away(worker):
    sent = outgoing("ok", 1)
    worker.notes.set(f"down:{sent.saga_id}", 3)
    assert worker.news(worker.send(sent))["kind"] == "AttemptSucceeded"


def test_an_outcome_that_can_not_be_stored_here_goes_to_a_coordinator(worker):
    sent = outgoing("ok", 1)
    worker.notes.set(f"broken:{sent.saga_id}", 1)
    news = worker.news(worker.send(sent))
    assert (news["kind"], news["parks"]) == ("AttemptSucceeded", True)


def test_a_plain_call_of_a_participant_is_none_of_our_business(worker):
    # The lab is shared, and late news of other tests' sagas may come meanwhile: this call's would carry its value.
    worker.celery.send_task("ok", ["a plain call"], queue="steps", ignore_result=True)
    worker.barrier()
    news = [note for key in worker.notes.keys("news:*") for note in worker.notes.lrange(key, 0, -1)]
    assert not [note for note in news if b"a plain call" in note]


def test_a_nudge_is_taken_from_the_coordinators_queue_though_the_worker_was_told_another_one(worker):
    worker.transport.nudge(["saga-1"])
    news = worker.news("saga-1")
    assert (news["kind"], news["parks"]) == ("Nudged", True)


def test_many_nudges_go_out_in_a_batch(worker):
    for ids in ([f"many-{number}" for number in range(20)], [f"together-{number}" for number in range(50)]):
        worker.transport.nudge(ids)
        assert {worker.news(saga_id)["kind"] for saga_id in ids} == {"Nudged"}


def test_the_heartbeat_lists_what_runs_and_the_sweeper_ticks(worker):
    sent = outgoing("held", "h1")
    worker.send(sent)
    assert worker.notes.blpop("runs:h1", timeout=PATIENCE)
    seen = json.loads(worker.notes.blpop(f"seen:{sent.saga_id}", timeout=PATIENCE)[1])
    while not seen["started"]:
        seen = json.loads(worker.notes.blpop(f"seen:{sent.saga_id}", timeout=PATIENCE)[1])
    assert (seen["slot"], seen["attempt"]) == (["charge", 0, "action", 1], 1)
    worker.notes.rpush("release:h1", 1)
    assert worker.news(sent.saga_id)["result"] == "released"
    assert int(worker.notes.get("ticks")) > 0
