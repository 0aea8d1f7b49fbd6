"""`saga show`."""

from datetime import timedelta

import sqlalchemy as sa

from saga_celery.core import events as e
from saga_celery.core.states import Direction, Slot
from saga_celery.store.schema import saga, saga_awaited
from tests.cli.conftest import Shop


def lines(result):
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def row(result, step):
    return next(line for line in lines(result) if line.startswith(step))


def test_the_head_tells_who_it_is(shop):
    saga_id = shop.completed(key="order-1", tags={"b": "2", "a": "1"})
    shop.clock.turn(60)
    shown = lines(shop("show", "order-1"))
    assert shown[:8] == [
        f"shop.order {saga_id}",
        "state: COMPLETED",
        "key: order-1",
        "tags: a=1, b=2",
        "started: 2030-01-01T12:00:00.000Z, 1 min ago",
        "ended: 2030-01-01T12:00:00.000Z, after 0.0 s",
        'input: {"sku": "tea", "cents": 5}',
        'result: "told"',
    ]
    assert shown[-1] == "  nothing: the saga has ended"


def test_steps_are_told_in_plain_words(shop):
    saga_id = shop.start()
    assert row(shop("show", saga_id), "charge").split() == ["charge", "not", "begun"]
    shop.news(saga_id, e.Nudged())
    assert row(shop("show", saga_id), "charge").split("  ")[1].strip() == "under way"
    shop.clock.turn(3)
    shop.succeed(saga_id, "charge", "c-1")
    shown = row(shop("show", saga_id), "charge")
    assert [part.strip() for part in shown.split("  ") if part] == ["charge", "done", "1/5", "3.0 s", '"c-1"']
    assert "0.0 s so far" in row(shop("show", saga_id), "tell")


def test_steps_that_never_began_say_so(shop):
    saga_id = shop.start()
    shop.news(saga_id, e.OperatorAsked(verb=e.Verb.CANCEL, actor="ann", reason="wrong order"))
    result = shop("show", saga_id)
    assert "never begun" in row(result, "tell")
    assert "cause: cancelled: wrong order" in lines(result)


def test_what_happens_next_is_a_retry(shop):
    saga_id = shop.start()
    shop.news(saga_id, e.Nudged())
    shop.fail(saga_id, Slot("charge"))
    shop.news(saga_id, e.RestOver(slot=Slot("charge")))
    shop.fail(saga_id, Slot("charge"), attempt=2)
    result = shop("show", saga_id)
    assert lines(result)[-1] == "  charge: attempt 3 of 5 in 24 s"
    assert "2/5" in row(result, "charge")
    assert row(result, "charge").endswith("shop.Broken: no")


def test_what_happens_next_is_a_resend(shop):
    saga_id = shop.start()
    assert lines(shop("show", saga_id))[-1] == "  a coordinator takes it up; asked again in 10 s"
    shop.news(saga_id, e.Nudged())
    shop.clock.turn(4)
    assert lines(shop("show", saga_id))[-1] == "  charge: attempt 1 of 5 sent 4.0 s ago; again in 26 s"


def test_what_happens_next_is_a_resend_to_a_queue_that_nobody_may_consume(shop):
    shop.app.conf.task_routes = {"card.*": {"queue": "card desk"}}
    saga_id = shop.start()
    shop.news(saga_id, e.Nudged())
    shop.clock.turn(31)
    (row,) = shop.sagas.store.overdue(10, 5.0)
    shop.sagas.store.postpone(row, 60.0, resent=True)
    following = "charge: attempt 1 of 5 sent 31 s ago, resent 1 times to queue 'card desk' "
    following += "(`saga doctor` tells whether a worker consumes it); again in 1 min"
    assert lines(shop("show", saga_id))[-1] == f"  {following}"
    assert shop.json("show", saga_id)[0]["next"] == [following]


def test_what_happens_next_is_the_end_of_a_run(shop):
    saga_id = shop.start()
    shop.news(saga_id, e.Nudged(), e.AttemptStarted(slot=Slot("charge"), attempt=1, worker="w1@host"))
    shop.clock.turn(12)
    assert lines(shop("show", saga_id))[-1] == (
        "  charge: attempt 1 of 5 runs at w1@host; no sign of it for 12 s, and after 30 s its outcome counts as unknown"
    )


def test_a_saga_that_nobody_sweeps_says_so(shop):
    saga_id = shop.start()
    shop.clock.turn(3600)
    shown = lines(shop("show", saga_id))
    assert shown[-2:] == [
        "  a coordinator takes it up; asked again now",
        "  should have moved 59 min 50 s ago: no sweeper seems to run; see saga doctor",
    ]


def test_a_deadline_is_counted_down(shop):
    saga_id = shop.start(timeout=timedelta(hours=1))
    assert "deadline: 2030-01-01T13:00:00.000Z, in 1 h" in lines(shop("show", saga_id))
    shop.clock.turn(3660)
    assert "deadline: 2030-01-01T13:00:00.000Z, 1 min ago" in lines(shop("show", saga_id))


def test_a_dead_letter_shows_its_whole_error_and_what_to_press(shop):
    saga_id = shop.exhausted()
    shown = lines(shop("show", saga_id))
    assert "state: FAILED" in shown
    assert f"  run: saga retry {saga_id} --step label --reason '…'" in shown
    assert f"   or: saga skip {saga_id} --step label --reason '…'" in shown
    assert shown[-3:] == ["Dead letter: label, exhausted", "  shop.Broken: no", "  luck", "  Traceback: line 7"][-3:]


def test_a_compensation_is_counted_apart(shop):
    saga_id = shop.undoing()
    undo = Slot("charge", 0, Direction.COMPENSATION)
    shop.fail(saga_id, undo)
    result = shop("show", saga_id)
    assert "1/5, undo 1/2" in row(result, "charge")
    assert "rests before undoing again" in row(result, "charge")
    assert any(line.startswith("  compensation of charge: attempt 2 of 2 in") for line in lines(result))
    assert "cause: tell failed: shop.Broken: no" in lines(result)


def test_attempts_of_what_is_parked_stay_to_be_seen(shop):
    assert "1/1" in row(shop("show", shop.exhausted()), "label")


def test_attempts_are_counted_anew_when_a_person_gave_new_ones(shop):
    saga_id = shop.undoing()
    undo = Slot("charge", 0, Direction.COMPENSATION)
    shop.fail(saga_id, undo)
    shop.news(saga_id, e.RestOver(slot=undo))
    shop.fail(saga_id, undo, attempt=2)
    assert "undo 2/2" in row(shop("show", saga_id), "charge")
    shop("retry", saga_id, "--reason", "r")
    assert "undo 1/2" in row(shop("show", saga_id), "charge")


def test_the_history_is_told_in_sentences(shop):
    saga_id = shop.completed()
    shown = lines(shop("show", saga_id, "--history"))
    told = shown[shown.index("History") + 1 :]
    assert told[0].startswith("  2030-01-01T12:00:00.000Z  saga taken up; charge: its turn has come;")
    assert told[-1].endswith('saga COMPLETED, result "told"')


def test_json_tells_all(shop):
    saga_id = shop.exhausted(key="k", tags={"a": "1"})
    (shown,) = shop.json("show", "k", "--history")
    assert (shown["id"], shown["state"], shown["tags"]) == (saga_id, "FAILED", {"a": "1"})
    assert shown["input"] == {"sku": "tea", "cents": 5}
    assert [each["step"] for each in shown["steps"]] == ["ship", "label"]
    label = shown["steps"][1]
    assert label["status"] == "exhausted"
    assert label["action"] == {
        "task": "parcel.label",
        "attempt": 1,
        "used": 1,
        "allowed": 1,
        "generation": 1,
        "worker": None,
        "outcome_unknown": False,
        "waived_by": None,
        "error": {"type": "shop.Broken", "message": "no\nluck", "traceback": "Traceback: line 7"},
    }
    assert shown["dead_letters"][0]["moves"] == ["retry", "skip"]
    assert shown["history"][0]["facts"][0] == {"fact": "SagaStarted", "text": "saga taken up"}
    assert shown["history"][0]["at"] == "2030-01-01T12:00:00.000Z"
    assert shown["cause"] is None


def test_json_tells_what_is_awaited_and_the_cause(shop):
    (shown,) = shop.json("show", shop.undoing())
    (wait,) = shown["awaited"]
    assert (wait["step"], wait["direction"], wait["awaited"]) == ("charge", "compensation", "start")
    assert shown["cause"]["kind"] == "failure"
    assert shown["cause"]["error"]["type"] == "shop.Broken"
    assert "history" not in shown


def test_a_key_of_several_names_lists_them(shop):
    order, parcel = shop.start(key="k"), shop.start("shop.parcel", key="k")
    result = shop("show", "k")
    assert result.exit_code == 3
    assert f"2 sagas have the key 'k': shop.order ({order}), shop.parcel ({parcel})" in result.stderr
    assert lines(shop("show", "k", "--name", "shop.parcel"))[0] == f"shop.parcel {parcel}"


def test_what_is_not_there_is_3(shop):
    saga_id = shop.start()
    assert shop("show", "nobody").exit_code == 3
    assert shop("show", "nobody").stderr == "Error: no saga has the id or key 'nobody'\n"
    assert "'shop.order' has one" in shop("show", saga_id, "--name", "shop.parcel").stderr


def test_a_waived_compensation_shows_who_waived_it(shop):
    saga_id = shop.start()
    shop.news(saga_id, e.Nudged())
    shop.succeed(saga_id, "charge", 7)  # a number where a text was promised: no refund can be made of it
    shop("skip", saga_id, "--step", "charge", "--reason", "paid back by hand", "--actor", "ann")
    assert "done (undo waived by ann)" in shop("show", saga_id).stdout
    assert shop.json("show", saga_id)[0]["steps"][0]["compensation"]["waived_by"] == "ann"
    shop.news(saga_id, e.Nudged())
    shop.fail(saga_id, Slot("tell"))
    page = shop("show", saga_id, "--history").stdout
    assert "not undone, said ann" in page
    assert "everything that took effect is undone, but not charge, whose compensation a person skipped" in page


def test_a_late_effect_shows_what_it_brought(shop):
    saga_id = shop.compensated()
    shop.succeed(saga_id, "tell", "told")
    shown = lines(shop("show", saga_id))
    assert "state: COMPENSATED" in shown
    assert f"  run: saga resolve {saga_id} --step tell --reason '…'" in shown
    assert shown[-2:] == ["Dead letter: tell, late_effect", '  result: "told"']


def test_a_suspended_saga_says_so(shop):
    saga_id = shop.start()
    with shop.sagas.store.connections.transaction() as connection:
        connection.execute(sa.update(saga).values(suspended=True))
    shown = lines(shop("show", saga_id))
    assert "state: PENDING; suspended" in shown
    assert "  suspended: outcomes are recorded, nothing is sent until it is resumed" in shown


def test_a_saga_that_awaits_nothing_says_so(shop):
    saga_id = shop.start()
    with shop.sagas.store.connections.transaction() as connection:
        connection.execute(sa.delete(saga_awaited))
    assert lines(shop("show", saga_id))[-1].startswith("  nothing is awaited, which should not be")


# ── watching ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def script(shop: Shop, monkeypatch, *moves):
    """Let something happen in each pause of --watch."""
    left = list(moves)
    monkeypatch.setattr("saga_celery.cli.showing.time.sleep", lambda seconds: left.pop(0)())
    return left


def test_watch_tells_changes_line_by_line_until_the_end(shop, monkeypatch):
    saga_id = shop.start()
    left = script(
        shop,
        monkeypatch,
        lambda: shop.news(saga_id, e.Nudged()),
        lambda: None,
        lambda: shop.succeed(saga_id, "charge", "c"),
        lambda: shop.succeed(saga_id, "tell", "told"),
    )
    shown = lines(shop("show", saga_id, "--watch"))
    assert not left
    told = shown[: shown.index("")]
    assert len(told) == 3
    assert "saga taken up" in told[0]
    assert "saga COMPLETED" in told[2]
    assert "state: COMPLETED" in shown


def test_watch_with_json_is_an_object_at_each_change(shop, monkeypatch):
    saga_id = shop.start()
    script(
        shop,
        monkeypatch,
        lambda: None,
        lambda: shop.news(saga_id, e.OperatorAsked(verb=e.Verb.CANCEL, actor="a", reason="r")),
    )
    assert [each["state"] for each in shop.json("show", saga_id, "--watch")] == ["PENDING", "COMPENSATED"]


def test_watch_redraws_on_a_terminal(shop, monkeypatch, on_a_terminal):
    saga_id = shop.start()
    script(shop, monkeypatch, lambda: shop.news(saga_id, e.OperatorAsked(verb=e.Verb.CANCEL, actor="a", reason="r")))
    on_a_terminal()
    result = shop("show", saga_id, "--watch")
    assert result.exit_code == 0
    assert "COMPENSATED" in result.stdout


def test_watch_of_what_has_ended_ends_at_once(shop):
    assert "state: COMPLETED" in lines(shop("show", shop.completed(), "--watch"))


def test_a_page_on_a_terminal_is_drawn_by_rich(shop, on_a_terminal):
    on_a_terminal()
    result = shop("show", shop.exhausted())
    assert result.exit_code == 0
    assert "Dead letter: label, exhausted" in result.stdout
